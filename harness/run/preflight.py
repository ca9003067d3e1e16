"""Whether disk and memory will do for a run: said, with its parts, before it begins."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.checks import total_updates
from harness.config.schema import Config
from harness.console.progress import Display
from harness.errors import HarnessError, reason
from harness.machine.failures import DeviceFailure, failure_of, watchdog_said
from harness.run.inputs import Inputs
from harness.sampling.prompts import prompt_for, variants
from harness.tuning.batches import bucket_width
from harness.tuning.engine import checked_rows, head_chunk
from harness.tuning.memory import (
    Change,
    Load,
    ModelShape,
    Need,
    dequantized_bytes,
    less,
    sampling_need,
    tail_weights,
    training_need,
)

_PASSING_BLOCKS = 3  # frozen blocks that are there at once while a step is compared with the whole model
_NEARLY = 0.9  # of what there is; the prediction is right to a tenth or two


@dataclass(frozen=True)
class MemoryPlan:
    """What the phases of a run need, one after the other, and what would make training need less."""

    phases: dict[str, Need]
    changes: list[Change]

    @property
    def advice(self) -> str:
        steps = [f"{change.words} ({_gb(change.need.total)})" for change in self.changes]
        return f"in this order, each with those before it: {', '.join([*steps, 'a smaller base'])}"


def plan_memory(config: Config, inputs: Inputs, shape: ModelShape, at: int) -> MemoryPlan:
    """Predict, for steps that begin at block `at`. The adapter must be attached; nothing is evaluated."""
    model, settings = inputs.base.model, inputs.base.settings
    rows = [row for split in inputs.splits for row in split.rows]
    width = max(bucket_width(len(row.tokens) - 1) for row in rows)
    targets = max(bucket_width(row.targets) for row in rows) if config.train.head_on_targets else None
    chunk = head_chunk(shape.vocabulary) if config.train.head_in_chunks else None
    weights = tail_weights(model, at, settings)
    if config.train.dequantize_tail:
        weights += dequantized_bytes(model, inputs.spec)
    load = Load(width, targets, weights, chunk)
    phases = {}
    if at:
        few = checked_rows(inputs.train.rows)
        checked = replace(config.train, batch_size=len(few), grad_checkpoint=False)
        longest = bucket_width(max(len(row.tokens) - 1 for row in few))
        passing = _PASSING_BLOCKS * (shape.weights - weights) // at  # the others are read and let go of one by one
        phases["checking"] = training_need(shape, checked, Load(longest, None, weights + passing))
    if total_updates(config.train, len(inputs.train.rows)):
        phases["training"] = training_need(shape, config.train, load)
    if config.generate.prompts:
        tokenizer, way = inputs.base.tokenizer, variants(config.prompt, "all")[0]
        prompts = [
            prompt_for(tokenizer, way, theme, system=config.data.system, fields=config.prompt.fields)
            for theme in config.generate.prompts
        ]
        longest = max(len(prompt.ids(tokenizer)) for prompt in prompts)
        at_once = min(config.generate.batch_size, len(prompts))
        phases["sampling"] = sampling_need(shape, longest, config.generate.max_tokens, at_once)
    return MemoryPlan(phases, less(shape, config.train, load))


def check_memory(plan: MemoryPlan, base: str, *, has: int, free: int, limit_gb: float | None = None) -> list[str]:
    """What to say of each phase's need, with a warning and what to change when that is more than there is.

    `has`: bytes of the device; `free`: those of them that other programs leave; `limit_gb`: train.memory_limit_gb.

    Raises:
        HarnessError: when the weights alone are more than the device has.
    """
    lines = []
    for name, need in plan.phases.items():
        if need.weights > has:
            raise HarnessError(
                f"the weights of {base} take {_gb(need.weights)}, but the device has {_gb(has)}; "
                "choose a smaller base, or one with fewer bits"
            )
        lines.append(f"{name} needs about {_said(need)}")
    largest = max((need.total for need in plan.phases.values()), default=0)
    if largest > _NEARLY * has:
        lines.append(f"warning: the device has {_gb(has)} for this; should it not do, change {plan.advice}")
    elif largest > free:
        lines.append(f"warning: other programs leave {_gb(free)} of {_gb(has)} free; close some first")
    training = plan.phases.get("training")
    if training is not None and limit_gb is not None and limit_gb * 1e9 < training.total:
        limit = f"train.memory_limit_gb={limit_gb:g}"
        lines.append(f"warning: {limit} is less than training needs: MLX waits for memory in every step; raise it")
    return lines


@contextmanager
def shortage_said(plan: MemoryPlan) -> Iterator[None]:
    """The device's failure to get memory, or to work beside a display, as an error with what to change.

    Raises:
        HarnessError: for these. MLX's CPU backend cannot say the first; there the process ends.
    """
    try:
        with watchdog_said():
            yield
    except (RuntimeError, MemoryError) as error:
        if failure_of(error) is not DeviceFailure.SHORTAGE:
            raise
        raise HarnessError(f"out of memory ({reason(error)}); change {plan.advice}") from error


def _said(need: Need) -> str:
    parts = f"weights {_gb(need.weights)}, adapter and optimizer {_gb(need.adapter)}"
    parts += f", activations {_gb(need.activations)}, logits {_gb(need.logits)}"
    return f"{_gb(need.total)} of memory ({parts})"


def check_disk(config: Config, inputs: Inputs, folder: Path, adapter_bytes: int, display: Display) -> None:
    """Say what the checkpoints will take, and refuse a run that the disk cannot hold.

    The state to go on from holds the adapter and at most two numbers of the optimizer for each of its own,
    and is there twice while it is written.

    Raises:
        HarnessError: when there is not enough room.
    """
    settings = config.train
    updates = total_updates(settings, len(inputs.train.rows))
    saved = updates // settings.save_every + 1
    improving = updates // settings.steps_per_eval  # each may be the best so far
    checkpoints = saved + improving if settings.keep == "all" else settings.keep + 1
    need, free = (checkpoints + 6) * adapter_bytes, shutil.disk_usage(folder).free
    if need > free:
        raise HarnessError(
            f"{checkpoints} checkpoints of {adapter_bytes / 1e6:.1f} MB and the state need up to {need / 1e9:.1f} GB, "
            f"but {folder} has {free / 1e9:.1f} GB free; set train.keep=3, or make room"
        )
    if updates:
        display.say(
            f"up to {checkpoints} checkpoints of {adapter_bytes / 1e6:.1f} MB, {need / 1e6:.0f} MB at most in all"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
