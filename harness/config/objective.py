"""What "the best" means: one record that search, tables, reports, references and promotion share.

Knows nothing of who measures it, and of who chooses by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.hints import did_you_mean
from harness.errors import HarnessError


@dataclass(frozen=True)
class Objective:
    """A number by which runs are compared.

    `name`: the run's metric in MLflow; `label`: what a person reads; `maximize`: whether more is better;
    `checkpoint`: the metric by which single checkpoints carry it.
    """

    name: str
    label: str
    maximize: bool
    checkpoint: str

    def minimized(self, totals: Mapping[str, float]) -> float:
        """What a search makes small: the metric, or less it where more is better."""
        return -totals[self.name] if self.maximize else totals[self.name]

    def shown(self, minimized: float) -> float:
        """The metric's own value, of what a search made small."""
        return -minimized if self.maximize else minimized


# of the losses a run carries its lowest, a checkpoint its own
VALID_LOSS = Objective("valid/best_loss", "valid/loss", maximize=False, checkpoint="valid/loss")
WIN_RATE = Objective("judge/win_rate", "judge/win_rate", maximize=True, checkpoint="judge/win_rate")

TEST_LOSS = "test/loss"

_MORE_IS_BETTER = {
    TEST_LOSS: False,
    "text/own_words": True,
    "text/memorised": False,
    "text/memorised_run": False,
    "text/loops": False,
    "text/refusals": False,
    "text/copied": False,
    "text/diversity_distinct": True,
}

OBJECTIVES: Mapping[str, Objective] = {
    VALID_LOSS.name: VALID_LOSS,
    WIN_RATE.name: WIN_RATE,
    **{name: Objective(name, name, maximize=more, checkpoint=name) for name, more in _MORE_IS_BETTER.items()},
}


def objective(name: str) -> Objective:
    """Raises: HarnessError for a metric that nothing can be chosen by."""
    found = OBJECTIVES.get(name)
    if found is None:
        raise HarnessError(f"{name} is no metric to choose by{did_you_mean(name, list(OBJECTIVES))}")
    return found
