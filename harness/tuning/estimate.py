"""How long a run will take, and how much it computes, before it does."""

import math

from harness.config.checks import total_updates
from harness.config.schema import TrainConfig
from harness.data.dataset import Split
from harness.tuning.batches import bucket_width
from harness.tuning.evaluate import Score


def estimated_seconds(start: Score, train_split: Split, valid_split: Split, settings: TrainConfig) -> float:
    """The run's time, from the validation at its start.

    A backward pass through frozen weights costs about a forward one, and checkpointing one more.
    """
    passes = 3 if settings.grad_checkpoint else 2
    trained, validated = computed_positions(train_split, valid_split, settings)
    return start.position_seconds * (passes * trained + validated)


def computed_positions(train_split: Split, valid_split: Split, settings: TrainConfig) -> tuple[float, float]:
    """About how many positions a run computes, padding included: in training, and in validation."""
    updates = total_updates(settings, len(train_split.rows))
    trained = updates * settings.grad_accumulation_steps * settings.batch_size * _mean_width(train_split)
    validations = 1 + math.ceil(updates / math.gcd(settings.steps_per_eval, settings.save_every))
    return trained, validations * len(valid_split.rows) * _mean_width(valid_split)


def _mean_width(split: Split) -> float:
    return sum(bucket_width(len(row.tokens) - 1) for row in split.rows) / len(split.rows)
