"""Schedules are mlx-lm's, over the updates of the run."""

import dataclasses

import mlx.core as mx
import pytest

from harness.errors import HarnessError
from harness.tuning.optimizer import learning_rate, make_optimizer
from tests.conftest import compose_config


def _rates(updates: int, **values: object) -> list[float]:
    train = dataclasses.replace(compose_config("train.learning_rate=1.0").train, **values)
    schedule = learning_rate(train, updates)
    if not callable(schedule):
        return [schedule] * updates
    return [float(schedule(mx.array(step)).item()) for step in range(updates)]


def test_cosine_warms_up_then_falls_to_its_end() -> None:
    rates = _rates(100, lr_schedule="cosine", warmup=0.1, learning_rate_end=0.0)
    assert rates[0] == 0 and rates[5] == pytest.approx(0.5) and max(rates) == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5, abs=0.02) and rates[-1] < 0.01


def test_linear_falls_evenly() -> None:
    rates = _rates(100, lr_schedule="linear", warmup=0.0, learning_rate_end=0.5)
    assert rates[0] == 1.0 and rates[50] == pytest.approx(0.75)


def test_constant_stays_after_its_warmup() -> None:
    rates = _rates(20, lr_schedule="constant", warmup=4)
    assert rates[2] == pytest.approx(0.5) and set(rates[5:]) == {1.0}


def test_adam_corrects_its_bias() -> None:
    assert make_optimizer(compose_config("train.optimizer=adamw").train, 10).bias_correction is True


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(HarnessError, match=r"train.optimizer_args does not fit adamw: .*wieght_decay"):
        make_optimizer(compose_config("+train.optimizer_args.wieght_decay=0.1").train, 10)


def test_the_learning_rate_is_not_an_optimizer_argument() -> None:
    with pytest.raises(HarnessError, match="must not hold learning_rate"):
        make_optimizer(compose_config("+train.optimizer_args.learning_rate=0.1").train, 10)
