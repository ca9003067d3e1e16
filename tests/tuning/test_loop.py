"""The loop learns what mlx-lm's learns, and nothing beside the data, the seed and the settings changes it."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx_lm.tuner.trainer import TrainingArgs
from mlx_lm.tuner.trainer import train as mlx_lm_train

from harness.config.schema import TrainConfig
from harness.data.dataset import Split
from harness.errors import HarnessError
from harness.models.adapter import adapter_weights, attached
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tuning.batches import fixed_batches, stream
from harness.tuning.cut import Tail
from harness.tuning.engine import WHOLE_MODEL, Engine
from harness.tuning.estimate import estimated_seconds
from harness.tuning.evaluate import Evaluator, Score
from harness.tuning.loop import Outcome, train
from harness.tuning.loss import loss_sum
from harness.tuning.state import load_state, save_state
from tests.conftest import QUICK, compose_config
from tests.tuning.recorder import Recorder

MakeSpec = Callable[..., AdapterSpec]
Weights = dict[str, mx.array]
Splits = tuple[Split, Split]


def _settings(**values: Any) -> TrainConfig:
    config: TrainConfig = compose_config(*QUICK, "train.iters=4", "train.save_every=100").train
    return dataclasses.replace(config, **values)


def _train(
    base: Base, spec: AdapterSpec, splits: Splits, settings: TrainConfig, seed: int = 0
) -> tuple[Recorder, Weights, Outcome]:
    recorder = Recorder()
    with attached(base.model, spec, seed=seed):
        outcome = train(base.model, *splits, settings, recorder)
        weights = adapter_weights(base.model)
        mx.eval(weights)
    return recorder, weights, outcome


def _same(first: Weights, second: Weights) -> bool:
    return first.keys() == second.keys() and all(mx.array_equal(first[key], second[key]).item() for key in first)


def _largest_difference(first: Weights, second: Weights) -> float:
    return max(mx.abs(first[key] - second[key]).max().item() for key in first)


class _Losses:
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_loss_report(self, info: dict[str, Any]) -> None:
        self.losses.append(info["train_loss"])

    def on_val_loss_report(self, info: dict[str, Any]) -> None:
        pass


def test_mlx_lms_own_loop_gives_the_same_losses_on_the_same_batches(
    base: Base, make_spec: MakeSpec, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(
        iters=12, optimizer="adam", warmup=0.0, lr_schedule="constant", max_grad_norm=None, learning_rate=5e-3
    )
    ours, our_weights, _ = _train(base, make_spec(), splits, settings)

    def our_batches(**_: Any) -> Iterator[tuple[mx.array, mx.array]]:
        for batch in stream(splits[0].rows, settings.batch_size, seed=settings.seed):
            yield batch.tokens, batch.learn

    def our_loss(model: nn.Module, tokens: mx.array, learn: mx.array) -> tuple[mx.array, mx.array]:
        total, count = loss_sum(Tail(model, 0), tokens, learn)
        return total / count, count

    theirs = _Losses()
    monkeypatch.setattr("mlx_lm.tuner.trainer.TrainUI", _Silent)
    with attached(base.model, make_spec(), seed=0):
        mlx_lm_train(
            base.model,
            optim.Adam(learning_rate=5e-3, bias_correction=True),
            train_dataset=[None],
            args=TrainingArgs(
                batch_size=2, iters=12, steps_per_report=1, steps_per_save=100, adapter_file=tmp_path / "a.safetensors"
            ),
            loss=our_loss,
            iterate_batches=our_batches,
            training_callback=theirs,
        )
        their_weights = adapter_weights(base.model)
        assert np.abs(np.array(ours.losses) - np.array(theirs.losses)).max() < 1e-4
        assert _largest_difference(our_weights, their_weights) < 1e-4
    assert ours.losses[0] - ours.losses[-1] > 0.3


class _Silent:
    """mlx-lm's progress display, without a terminal."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: Any) -> None: ...
    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


def test_the_cadence_of_validation_and_reports_does_not_change_the_weights(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    spec = make_spec(dropout=0.2)
    _, seldom, _ = _train(base, spec, splits, _settings(steps_per_eval=100, steps_per_report=100))
    _, often, _ = _train(base, spec, splits, _settings(steps_per_eval=1, steps_per_report=1, save_every=1))
    assert _same(seldom, often)


@pytest.mark.parametrize("engine", [WHOLE_MODEL, Engine(0, True), Engine(0, True, chunk=16)])
def test_a_validation_tells_what_each_row_lost(base: Base, make_spec: MakeSpec, splits: Splits, engine: Engine) -> None:
    recorder = Recorder()
    with attached(base.model, make_spec(), seed=0):
        train(base.model, *splits, _settings(iters=1, batch_size=3), recorder, engine=engine)
        alone = {
            row.line: Evaluator(Tail(base.model, 0), fixed_batches([row], 1)).score(1).loss for row in splits[1].rows
        }
    assert [rows.step for rows in recorder.rows] == [score.step for score in recorder.scores] == [0, 1]
    rows, score = recorder.rows[1], recorder.scores[1]
    assert rows.sums.sum() / rows.targets.sum() == pytest.approx(score.loss, rel=1e-6)
    assert dict(zip(rows.lines.tolist(), (rows.sums / rows.targets).tolist(), strict=True)) == pytest.approx(
        alone, rel=1e-5
    )


def test_random_numbers_drawn_elsewhere_do_not_change_the_weights(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    spec = make_spec(dropout=0.2)
    _, first, _ = _train(base, spec, splits, _settings())
    mx.random.seed(77)
    np.random.seed(77)
    _, second, _ = _train(base, spec, splits, _settings())
    assert _same(first, second)


def test_a_run_leaves_nothing_to_the_next_in_the_process(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    _, alone, _ = _train(base, make_spec(scale=10.0), splits, _settings())
    _train(base, make_spec(rank=8, scale=3.0, dropout=0.3), splits, _settings(grad_checkpoint=True, seed=5))
    _, after, _ = _train(base, make_spec(scale=10.0), splits, _settings())
    assert _same(alone, after)


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer": "adamw", "lr_schedule": "cosine", "warmup": 2.0},
        {"grad_accumulation_steps": 3, "iters": None, "epochs": 4.5, "max_grad_norm": None},
        {"optimizer": "muon", "grad_checkpoint": True, "batch_size": 3},
    ],
)
def test_a_resumed_run_ends_with_the_same_weights(
    base: Base, make_spec: MakeSpec, splits: Splits, tmp_path: Path, values: dict[str, Any]
) -> None:
    settings = _settings(**{"iters": 7, "save_every": 2, "steps_per_eval": 3, "steps_per_report": 5} | values)
    spec = make_spec(dropout=0.2)
    whole, weights, outcome = _train(base, spec, splits, settings)
    for step in (2, 3, 4):
        if step not in whole.states:
            continue
        save_state(tmp_path / "state.safetensors", whole.states[step])
        mx.random.seed(1234)
        rest = Recorder()
        with attached(base.model, spec, seed=99):  # other start weights: they must not matter
            state = load_state(tmp_path / "state.safetensors")
            again = train(base.model, *splits, settings, rest, resume=state)
            assert _same(weights, adapter_weights(base.model))
        assert [s.loss for s in rest.scores] == [s.loss for s in whole.scores if s.step > step]
        assert [w.loss for w in rest.windows] == [w.loss for w in whole.windows if w.step > step]
        assert (again.best.loss, again.start.loss) == (outcome.best.loss, outcome.start.loss)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{half")
    with pytest.raises(HarnessError, match="is not a readable training state"):
        load_state(tmp_path / "state.safetensors")


def test_the_seed_changes_the_weights(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    _, first, _ = _train(base, make_spec(), splits, _settings(seed=0))
    _, second, _ = _train(base, make_spec(), splits, _settings(seed=1))
    assert not _same(first, second)


def test_accumulated_small_batches_are_one_large_batch(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    by_targets = sorted(splits[0].rows, key=lambda row: row.targets)
    rows = [*by_targets[:2], *by_targets[-2:]]
    four = dataclasses.replace(splits[0], rows=rows)
    plain = {"lr_schedule": "constant", "warmup": 0.0, "iters": 3}
    large, large_weights, _ = _train(base, make_spec(), (four, splits[1]), _settings(batch_size=4, **plain))
    small, small_weights, _ = _train(
        base, make_spec(), (four, splits[1]), _settings(batch_size=1, grad_accumulation_steps=4, **plain)
    )
    assert {row.targets for row in rows} != {rows[0].targets}, "rows of unequal weight, or this shows nothing"
    assert np.allclose(large.losses, small.losses, atol=1e-4)
    assert _largest_difference(large_weights, small_weights) < 1e-4


def test_checkpointed_gradients_are_the_same_and_leave_no_trace(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    block = type(base.model.layers[0])
    method = block.__call__
    _, plain, _ = _train(base, make_spec(), splits, _settings())
    _, checkpointed, _ = _train(base, make_spec(), splits, _settings(grad_checkpoint=True))
    assert block.__call__ is method
    assert _largest_difference(plain, checkpointed) < 1e-5


def test_each_saved_weight_has_exactly_its_own_score(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    recorder, _, _ = _train(base, make_spec(), splits, _settings(iters=5, save_every=2, steps_per_eval=3))
    assert [score.step for score in recorder.scores] == [0, 2, 3, 4, 5]
    assert recorder.saved.keys() >= {2, 4, 5}
    scores = {score.step: score.loss for score in recorder.scores}
    with attached(base.model, make_spec(), seed=0):
        evaluator = Evaluator(Tail(base.model, 0), fixed_batches(splits[1].rows, 2))
        for step, weights in recorder.saved.items():
            base.model.load_weights(list(weights.items()), strict=False)
            assert evaluator.score(step).loss == scores[step]


def test_the_best_validation_so_far_is_saved_between_checkpoints(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    recorder, _, outcome = _train(base, make_spec(), splits, _settings(iters=6, steps_per_eval=1, save_every=100))
    assert recorder.best and set(recorder.best) <= recorder.saved.keys()
    assert outcome.best.loss == min(score.loss for score in recorder.scores if score.step)
    assert outcome.best.step == recorder.best[-1]


def test_patience_ends_a_run_that_no_longer_improves(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    worse = {"learning_rate": 0.3, "warmup": 0.0, "lr_schedule": "constant", "steps_per_eval": 1}
    settings = _settings(iters=30, patience=3, steps_per_report=100, **worse)
    recorder, weights, outcome = _train(base, make_spec(), splits, settings)
    assert outcome.updates < 30 and outcome.updates == outcome.best.step + 3 == recorder.scores[-1].step
    assert _same(recorder.saved[outcome.updates], weights), "the last weights are saved too"
    assert recorder.windows[-1].step == outcome.updates, "and the training since the last report is told"
    assert recorder.states[outcome.updates].course.window_targets == 0
    rest = Recorder()
    with attached(base.model, make_spec(), seed=0):
        again = train(base.model, *splits, settings, rest, resume=recorder.states[outcome.updates])
    assert (again.updates, rest.losses) == (outcome.updates, []), "a run that patience ended stays ended"


def test_validation_is_the_mean_over_every_learned_token(base: Base, splits: Splits) -> None:
    rows = splits[1].rows
    total = count = 0.0
    for row in rows:
        logits = base.model(mx.array(row.tokens[None, :-1]))[0]
        losses = nn.losses.cross_entropy(logits, mx.array(row.tokens[1:]))
        total += (losses * mx.array(row.learn[1:])).sum().item()
        count += row.learn[1:].sum()
    for batch_size in (1, 3):
        score = Evaluator(Tail(base.model, 0), fixed_batches(rows, batch_size)).score(0)
        assert score.loss == pytest.approx(total / count, abs=1e-4)
        assert score.perplexity == pytest.approx(math.exp(total / count), rel=1e-3)


def test_a_run_by_epochs_sees_every_row_that_many_times(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    settings = _settings(iters=None, epochs=2, batch_size=3, grad_accumulation_steps=3, steps_per_report=1)
    recorder, _, outcome = _train(base, make_spec(), splits, settings)
    assert outcome.updates == 3  # 4 micro-batches an epoch, 8 in all: 3 + 3 + 2
    assert sum(window.targets for window in recorder.windows) == 2 * splits[0].targets


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_lines(
    base: Base, make_spec: MakeSpec, splits: Splits
) -> None:
    settings = _settings(learning_rate=1e30, optimizer="sgd", max_grad_norm=None, warmup=0.0, iters=20)
    with pytest.raises(HarnessError, match=r"must be a finite number, but is (nan|inf); lower train.learning_rate"):
        _train(base, make_spec(), splits, settings)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adafactor", "muon", "sgd"])
def test_every_optimizer_lowers_the_loss_at_the_rate_it_is_given(
    base: Base, make_spec: MakeSpec, splits: Splits, optimizer: str
) -> None:
    rate = {"sgd": 0.3, "muon": 0.05, "adafactor": 0.5}.get(optimizer, 1e-2)
    settings = _settings(optimizer=optimizer, learning_rate=rate, iters=8, warmup=0.0)
    _, weights, outcome = _train(base, make_spec(), splits, settings)
    assert outcome.last.loss < outcome.start.loss - 0.05
    _, other, _ = _train(base, make_spec(), splits, dataclasses.replace(settings, learning_rate=rate / 2))
    assert not _same(weights, other), "the learning rate must count"


def test_dora_learns_too(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    _, _, outcome = _train(base, make_spec(fine_tune_type="dora"), splits, _settings(iters=8))
    assert outcome.last.loss < outcome.start.loss - 0.05


def test_clipping_bounds_the_step(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    plain = {"optimizer": "sgd", "lr_schedule": "constant", "warmup": 0.0, "iters": 1, "learning_rate": 1.0}
    with attached(base.model, make_spec(), seed=0):
        start = adapter_weights(base.model)
    _, clipped, _ = _train(base, make_spec(), splits, _settings(max_grad_norm=1e-3, **plain))
    norm = math.sqrt(sum(((clipped[key] - start[key]) ** 2).sum().item() for key in start))
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_the_estimate_grows_with_the_work(splits: Splits) -> None:
    start = Score(0, 5.0, seconds=1.0, position_seconds=0.001)
    short, long = (estimated_seconds(start, *splits, _settings(iters=n, steps_per_eval=10)) for n in (100, 200))
    assert long == pytest.approx(2 * short, rel=0.05)


@pytest.mark.alone
def test_the_estimate_is_of_the_right_size(base: Base, make_spec: MakeSpec, splits: Splits) -> None:
    settings = _settings(iters=30, steps_per_eval=10)
    _train(base, make_spec(), splits, settings)  # compiled once: a first run on a machine takes longer
    recorder, _, outcome = _train(base, make_spec(), splits, settings)
    spent = outcome.train_seconds + sum(score.seconds for score in recorder.scores[1:])
    assert spent / 4 < estimated_seconds(outcome.start, *splits, settings) < 4 * spent
