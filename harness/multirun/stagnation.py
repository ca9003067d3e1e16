"""Whether the last trials of a search brought more than the noise (sweep.stop_when=stagnant).

Unlike Optuna's BestValueStagnationEvaluator a better value counts only where it is better by more than the noise: of
the validation rows, of the judge, or of the seeds where these are known.
"""

import math
from collections.abc import Callable, Sequence

from harness.config.objective import WIN_RATE
from harness.errors import HarnessError
from harness.multirun.context import SweepContext
from harness.multirun.noise import noise_of
from harness.multirun.parent_run import parent_of
from harness.sweeping.study import Study
from harness.sweeping.trial import Result, best_results
from harness.tracking.queries import Finished, get, repeats

# whether the second, which is worse, may be as good as the first
Alike = Callable[[Result, Result], bool]


def is_stagnant(results: Sequence[Result], after: int, alike: Alike) -> bool:
    """Whether the best of all is no better than before the last `after` trials. One that failed tells nothing."""
    told = [result for result in results if result.failure is None]
    former = best_results(told[:-after])
    if not former:
        return False
    best = best_results(told)[0]
    return best is former[0] or alike(best, former[0])


class Stagnation:
    """Of one command's search, looked at once for each number of results."""

    def __init__(self, context: SweepContext, study: Study) -> None:
        self._context, self._study, self._seen = context, study, 0

    def settle_if_reached(self) -> None:
        """Say so, and let no further trial begin."""
        search, results = self._context.config.sweep, self._study.results()
        is_new, self._seen = len(results) > self._seen, len(results)
        if search.stop_when is None or not is_new or not search.stagnant_trials < len(results) < self._study.total:
            return
        if is_stagnant(results, search.stagnant_trials, self._alike):
            self._study.settle()
            self._context.display.say(
                f"the last {search.stagnant_trials} trials brought no more than the noise, so that no others begin "
                "(sweep.stop_when=stagnant); with sweep.stop_when=null the same command goes on"
            )

    def _alike(self, best: Result, former: Result) -> bool:
        return _alike(self._context, self._study, best, former)


def _alike(context: SweepContext, study: Study, best: Result, former: Result) -> bool:
    """By what the report marks runs that may be the best as well."""
    store, objective = context.store, context.objective
    if best.run_id is None or former.run_id is None:
        return False
    try:
        pair = [(get(store, result.run_id or ""), result.value) for result in (best, former)]
        again = repeats(store, get(store, parent_of(study)))
    except HarnessError:  # MLflow does not know them yet
        return False
    if objective == WIN_RATE and _judged_alike(pair[0][0], pair[1][0]):
        return True
    return former.run_id in noise_of(store, pair, again, objective).alike


def _judged_alike(best: Finished, former: Finished) -> bool:
    """Within 1.96 standard errors of the difference."""
    name, error = WIN_RATE.name, f"{WIN_RATE.name}_stderr"
    if error not in best.metrics or error not in former.metrics:
        return False
    apart = best.metrics[name] - former.metrics[name]
    return apart < 1.96 * math.hypot(best.metrics[error], former.metrics[error])
