"""Optimizers and learning-rate schedules by name, from mlx and mlx-lm."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
from mlx_lm.tuner.utils import build_schedule

from harness.config.checks import warmup_updates
from harness.config.schema import TrainConfig
from harness.errors import HarnessError

_CLASSES: dict[str, type[Any]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "adafactor": optim.Adafactor,
    "muon": optim.Muon,
    "sgd": optim.SGD,
}
# MLX leaves Adam's bias correction off, without which the first updates have the wrong size, and its
# Adafactor ignores the learning rate unless relative_step is off.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "adam": {"bias_correction": True},
    "adamw": {"bias_correction": True},
    "adafactor": {"relative_step": False},
}

Schedule = Callable[[mx.array], mx.array]


def make_optimizer(train: TrainConfig, updates: int, *, b_rate: float | None = None) -> optim.Optimizer:
    """The configured optimizer, its schedule laid over `updates` updates.

    `b_rate`: LoRA's B learns at so many times the rate, all the rest (A, DoRA's m) at the rate itself: LoRA+, arXiv
    2402.12354. The rate reported is that of the rest.

    Raises:
        HarnessError: for train.optimizer_args that it does not take.
    """
    rate = learning_rate(train, updates)
    if b_rate is None:
        return _optimizer(train, rate)
    both = [_optimizer(train, rate), _optimizer(train, _times(rate, b_rate))]
    return optim.MultiOptimizer(both, [lambda name, _: not name.endswith("lora_b")])


def _optimizer(train: TrainConfig, rate: float | Schedule) -> optim.Optimizer:
    arguments = {**_DEFAULTS.get(train.optimizer, {}), **train.optimizer_args}
    if "learning_rate" in arguments:
        raise HarnessError("train.optimizer_args must not hold learning_rate; set train.learning_rate")
    try:
        return _CLASSES[train.optimizer](learning_rate=rate, **arguments)
    except TypeError as error:
        raise HarnessError(f"train.optimizer_args does not fit {train.optimizer}: {error}") from error


def _times(rate: float | Schedule, factor: float) -> float | Schedule:
    return (lambda step: factor * rate(step)) if callable(rate) else factor * rate


def learning_rate(train: TrainConfig, updates: int) -> float | Schedule:
    """Warm-up from zero, then constant, linear or cosine over what is left of the run."""
    warmup = warmup_updates(train, updates)
    peak, end, rest = train.learning_rate, train.learning_rate_end, max(updates - warmup, 1)
    if train.lr_schedule == "constant" and not warmup:
        return peak
    name, arguments = {
        "constant": ("linear_schedule", [peak, peak, rest]),
        "linear": ("linear_schedule", [peak, end, rest]),
        "cosine": ("cosine_decay", [peak, rest, end]),
    }[train.lr_schedule]
    return build_schedule({"name": name, "arguments": arguments, "warmup": warmup})
