"""Settings that came after the first runs, each with the value that does what those did.

What an earlier version wrote lacks them. Knows nothing of what a setting does.
"""

from collections.abc import Collection, Mapping
from typing import Any

NEUTRAL: dict[str, Any] = {
    "lora.rank_scaling": "lora",
    "model.template_args": None,
    "data.thinking": "learn",
    "judge.template_args": None,
    "judge.panel": [],
    "judge.teach": "auto",
    "judge.repeats": 3,
    "lora.b_rate": None,
    "train.neftune_alpha": None,
    "train.chunked_recurrence": True,
    "train.memory_limit_gb": None,
    "train.cache_limit_gb": None,
    "sweep.stop_when": None,
    "sweep.stagnant_trials": 10,
}


def is_neutral(name: str, value: Any) -> bool:
    """Whether a setting is one that came later, and does nothing else."""
    return name in NEUTRAL and bool(value == NEUTRAL[name])


def completed(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Nested values as an earlier version wrote them, with those of `known` settings that it lacked."""
    filled = {name: dict(group) if isinstance(group, Mapping) else group for name, group in values.items()}
    for name, neutral in NEUTRAL.items():
        group, _, key = name.partition(".")
        if name in known and isinstance(filled.get(group), dict):
            filled[group].setdefault(key, neutral)
    return filled
