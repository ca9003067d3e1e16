"""LoRA+, noise on the embeddings and weights of rows: what each does to an update, and that all else stays."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from harness.config.schema import TrainConfig
from harness.data.dataset import Split
from harness.models.adapter import adapter_weights, attached, equal_weights
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tuning.batches import Batcher
from harness.tuning.cut import Tail
from harness.tuning.engine import WHOLE_MODEL, Engine
from harness.tuning.loop import train
from harness.tuning.loss import loss_sum
from harness.tuning.state import LoopState, load_state, save_state
from tests.conftest import QUICK, compose_config
from tests.tuning.recorder import Recorder

MakeSpec = Callable[..., AdapterSpec]
Weights = dict[str, mx.array]
Splits = tuple[Split, Split]
OPTIMIZERS = ["adam", "adamw", "adafactor", "muon", "sgd"]
ENGINES = [WHOLE_MODEL, Engine(0, True, True), Engine(0, True, chunk=16)]


def _settings(**values: Any) -> TrainConfig:
    config: TrainConfig = compose_config(*QUICK, "train.iters=3", "train.save_every=100").train
    return dataclasses.replace(config, **values)


def _train(
    base: Base,
    spec: AdapterSpec,
    splits: Splits,
    settings: TrainConfig,
    *,
    b_rate: float | None = None,
    engine: Engine = WHOLE_MODEL,
    resume: LoopState | None = None,
) -> tuple[Recorder, Weights]:
    recorder = Recorder()
    with attached(base.model, spec, seed=0):
        train(base.model, *splits, settings, recorder, engine=engine, b_rate=b_rate, resume=resume)
        weights = adapter_weights(base.model)
        mx.eval(weights)
    return recorder, weights


def _weighted(split: Split, *weights: float) -> Split:
    rows = [dataclasses.replace(row, weight=weight) for row, weight in zip(split.rows, weights, strict=False)]
    return dataclasses.replace(split, rows=rows)


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_b_moves_so_many_times_as_far_and_the_rest_as_before(
    base: Base, make_spec: MakeSpec, splits: Splits, optimizer: str, kind: str
) -> None:
    settings = _settings(optimizer=optimizer, iters=1, warmup=0.0, lr_schedule="constant", learning_rate=1e-3)
    spec = make_spec(fine_tune_type=kind)
    with attached(base.model, spec, seed=0):
        start = adapter_weights(base.model)
    _, plain = _train(base, spec, splits, settings)
    _, faster = _train(base, spec, splits, settings, b_rate=4.0)
    assert any(not mx.array_equal(plain[name], start[name]).item() for name in plain if name.endswith("lora_b"))
    for name, first in start.items():
        factor = 4 if name.endswith("lora_b") else 1
        moved, further = np.array(plain[name] - first), np.array(faster[name] - first)
        assert np.allclose(further, factor * moved, rtol=1e-4, atol=1e-7), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_with_its_schedule_and_noise_a_resumed_run_ends_with_the_same_weights(
    base: Base, make_spec: MakeSpec, splits: Splits, tmp_path: Path, optimizer: str
) -> None:
    settings = _settings(optimizer=optimizer, iters=5, save_every=2, warmup=2.0, steps_per_report=1, neftune_alpha=5.0)
    pair = _weighted(splits[0], 2.0, 1.0, 0.5, 3.0, 1.0, 1.0), splits[1]
    spec = make_spec(dropout=0.2)
    whole, weights = _train(base, spec, pair, settings, b_rate=16.0)
    save_state(tmp_path / "state.safetensors", whole.states[2])
    state = load_state(tmp_path / "state.safetensors")
    rest, again = _train(base, spec, pair, settings, b_rate=16.0, resume=state)
    assert equal_weights(weights, again)
    told = [(window.loss, window.learning_rate) for window in whole.windows]
    assert [(window.loss, window.learning_rate) for window in rest.windows] == told[2:]
    assert told[0][1] < told[2][1], "the rate reported is that of A, on its schedule"


def test_noise_is_uniform_within_its_bound_and_new_at_each_call(base: Base, splits: Splits) -> None:
    batch = Batcher(lengths=True)(splits[0].rows[:3])
    seen: list[mx.array] = []
    first = base.model.layers[0]
    kind = type(first)

    def watching(block: Any, x: mx.array, *rest: Any) -> Any:
        seen.append(x)
        return kind.__call__(block, x, *rest)

    tail = Tail(base.model, 0, noise=5.0)
    first.__class__ = type(kind.__name__, (kind,), {"__call__": watching})
    try:
        with tail.in_place():
            seen.clear()  # what the model was looked at with
            for training in (False, True, True):
                base.model.train(training)
                mx.eval(loss_sum(tail, *batch.inputs))
    finally:
        first.__class__ = kind
        base.model.eval()
    plain, one, other = seen
    assert not mx.array_equal(one, other).item()
    lengths, width = [len(row.tokens) - 1 for row in splits[0].rows[:3]], plain.shape[-1]
    for noise in (np.array(one - plain), np.array(other - plain)):
        for row, length in zip(noise, lengths, strict=True):
            bound = 5.0 / math.sqrt(length * width)
            assert 0.98 * bound < np.abs(row).max() <= bound * (1 + 1e-4)
            assert row.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("engine", ENGINES)
def test_noise_changes_training_and_no_validation(
    base: Base, make_spec: MakeSpec, splits: Splits, engine: Engine
) -> None:
    plain, plain_weights = _train(base, make_spec(), splits, _settings(iters=1), engine=engine)
    noisy, noisy_weights = _train(base, make_spec(), splits, _settings(iters=1, neftune_alpha=5.0), engine=engine)
    assert noisy.scores[0].loss == plain.scores[0].loss
    assert noisy.losses != plain.losses and noisy.losses == pytest.approx(plain.losses, rel=0.1)
    assert not equal_weights(plain_weights, noisy_weights)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_of_weight_two_is_one_that_is_there_twice(
    base: Base, make_spec: MakeSpec, splits: Splits, engine: Engine
) -> None:
    first, second = splits[0].rows[:2]
    settings = _settings(iters=2, warmup=0.0, lr_schedule="constant")
    twice = dataclasses.replace(splits[0], rows=[first, first, second])
    once = _weighted(dataclasses.replace(splits[0], rows=[first, second]), 2.0, 1.0)
    many, three = _train(
        base, make_spec(), (twice, splits[1]), dataclasses.replace(settings, batch_size=3), engine=engine
    )
    few, two = _train(base, make_spec(), (once, splits[1]), settings, engine=engine)
    assert few.losses == pytest.approx(many.losses, abs=1e-4)
    assert all(np.allclose(np.array(two[name]), np.array(three[name]), atol=1e-4) for name in two)


def test_accumulated_rows_count_by_their_weights_over_the_whole_update(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    pair = _weighted(dataclasses.replace(splits[0], rows=splits[0].rows[:3]), 3.0, 1.0, 0.25), splits[1]
    settings = _settings(iters=2, warmup=0.0, lr_schedule="constant", steps_per_report=1)
    large, large_weights = _train(base, make_spec(), pair, dataclasses.replace(settings, batch_size=3))
    accumulating = dataclasses.replace(settings, batch_size=1, grad_accumulation_steps=3)
    small, small_weights = _train(base, make_spec(), pair, accumulating)
    assert small.losses == pytest.approx(large.losses, abs=1e-4)
    assert all(np.allclose(np.array(small_weights[n]), np.array(large_weights[n]), atol=1e-4) for n in small_weights)
    assert [window.targets for window in small.windows] == [window.targets for window in large.windows]
    assert large.windows[0].targets == sum(row.targets for row in pair[0].rows), "tokens, not their weights"


def test_weights_that_are_all_the_same_give_the_same_bytes_as_none(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    plain, weights = _train(base, make_spec(), splits, _settings())
    same, again = _train(base, make_spec(), (_weighted(splits[0], *[3.7] * 10), splits[1]), _settings())
    assert equal_weights(weights, again) and same.losses == plain.losses
