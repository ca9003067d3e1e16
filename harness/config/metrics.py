"""What a search can be steered by, and which way is better."""

from collections.abc import Mapping

# what a run measures in the end, by its name in MLflow: whether more is better
MORE_IS_BETTER: Mapping[str, bool] = {
    "valid/best_loss": False,
    "test/loss": False,
    "judge/win_rate": True,
    "text/own_words": True,
    "text/memorised": False,
    "text/memorised_run": False,
    "text/loops": False,
    "text/refusals": False,
    "text/copied": False,
    "text/diversity_distinct": True,
}

JUDGED = "judge/win_rate"


def minimized(metric: str, totals: Mapping[str, float]) -> float:
    """The value that a search makes small: the metric, or less it where more is better."""
    return -totals[metric] if MORE_IS_BETTER[metric] else totals[metric]


def label(metric: str) -> str:
    """What `minimized` gives, in words."""
    return f"-{metric}" if MORE_IS_BETTER[metric] else metric
