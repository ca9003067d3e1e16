"""The prediction of memory against what MLX counts, and what it advises."""

import dataclasses
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest

from harness.config.schema import TrainConfig
from harness.data.dataset import Split
from harness.machine.device import begin_phase, memory_use
from harness.models.adapter import attached
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tuning.batches import bucket_width
from harness.tuning.loop import train
from harness.tuning.memory import Load, less, sampling_need, shape_of, training_need
from tests.conftest import compose_config


class Silent:
    def on_update(self, step: int, loss: float) -> None: ...
    def on_window(self, window: Any) -> None: ...
    def on_validating(self, done: int, total: int) -> None: ...
    def on_rows(self, rows: Any) -> None: ...
    def on_score(self, score: Any, state: Any, *, best: bool) -> None: ...
    def on_interrupt(self, state: object) -> None: ...


def _settings(*overrides: str) -> TrainConfig:
    config: TrainConfig = compose_config("train.iters=3", "train.batch_size=4", *overrides).train
    return config


@pytest.mark.parametrize(
    ("adapter", "overrides"),
    [
        ({}, []),
        ({"rank": 64}, []),
        ({"dropout": 0.1}, []),
        ({"fine_tune_type": "dora"}, []),
        ({"keys": ["q_proj"], "num_layers": 1}, ["train.optimizer=sgd"]),
        ({}, ["train.grad_checkpoint=true"]),
        ({}, ["train.batch_size=1", "train.grad_accumulation_steps=2"]),
    ],
)
def test_the_predicted_peak_is_within_a_fifth_of_the_measured(
    base: Base,
    splits: tuple[Split, Split],
    make_spec: Callable[..., AdapterSpec],
    adapter: dict[str, Any],
    overrides: list[str],
) -> None:
    settings, spec = _settings(*overrides), make_spec(**adapter)
    width = max(bucket_width(len(row.tokens) - 1) for split in splits for row in split.rows)
    base.materialize()
    begin_phase()
    elsewhere = mx.get_active_memory() - sum(v.nbytes for v in _values(base))
    with attached(base.model, spec, seed=0):
        need = training_need(
            shape := shape_of(base.model, spec, base.settings), settings, Load(width, None, shape.weights)
        )
        peak = train(base.model, *splits, settings, Silent()).peak_gb * 1e9 - elsewhere
    assert need.total == pytest.approx(peak, rel=0.2)


def _values(base: Base) -> list[mx.array]:
    from mlx.utils import tree_flatten

    return [value for _, value in tree_flatten(base.model.parameters())]


def test_changes_that_need_less_come_in_order_each_with_those_before_it(
    base: Base, make_spec: Callable[..., AdapterSpec]
) -> None:
    spec = make_spec(rank=16)
    with attached(base.model, spec, seed=0):
        shape = shape_of(base.model, spec, base.settings)
    settings = _settings()
    load = Load(512, None, shape.weights)
    changes = less(shape, settings, load)
    assert [change.words for change in changes] == [
        "train.grad_checkpoint=true",
        "train.batch_size=1 train.grad_accumulation_steps=4",
        "lora.rank=8",
        "train.max_seq_length=256",
    ]
    totals = [training_need(shape, settings, load).total, *(change.need.total for change in changes)]
    assert totals == sorted(totals, reverse=True) and len(set(totals)) == len(totals)
    already = dataclasses.replace(settings, grad_checkpoint=True, batch_size=1)
    assert [change.words for change in less(shape, already, load)] == ["lora.rank=8", "train.max_seq_length=256"]


def test_writing_needs_less_than_training(base: Base, make_spec: Callable[..., AdapterSpec]) -> None:
    with attached(base.model, make_spec(), seed=0):
        shape = shape_of(base.model, make_spec(), base.settings)
    assert (
        sampling_need(shape, 60, 200, 1).total < training_need(shape, _settings(), Load(260, None, shape.weights)).total
    )


def test_the_shape_counts_weights_once_and_reads_none_of_them(
    base: Base, make_spec: Callable[..., AdapterSpec]
) -> None:
    weights = sum(value.nbytes for value in _values(base))
    with attached(base.model, make_spec(rank=4), seed=0):
        shape = shape_of(base.model, make_spec(rank=4), base.settings)
        adapter = sum(value.nbytes for value in _values(base)) - weights
    assert (shape.weights, shape.adapter, shape.adapted_blocks) == (weights, adapter, 2)
    assert memory_use().active > 0
