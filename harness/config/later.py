"""Settings that came after the first runs, each with the value that does what those did.

What an earlier version wrote lacks them. Knows nothing of what a setting does.
"""

from typing import Any

NEUTRAL: dict[str, Any] = {
    "lora.b_rate": None,
    "train.neftune_alpha": None,
    "train.chunked_recurrence": True,
    "model.template_args": None,
    "data.thinking": "learn",
    "judge.template_args": None,
}


def is_neutral(name: str, value: Any) -> bool:
    """Whether a setting is one that came later, and does nothing else."""
    return name in NEUTRAL and bool(value == NEUTRAL[name])
