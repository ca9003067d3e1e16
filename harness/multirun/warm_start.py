"""What earlier runs on the same base and data scored, told to a sampler that is yet to begin (sweep.warm_start)."""

from harness.config.axes import as_combination
from harness.config.objective import WIN_RATE
from harness.data.dataset import fixed_subset
from harness.errors import HarnessError
from harness.multirun.context import SweepContext
from harness.sweeping.study import Study
from harness.tracking.queries import scored_runs


def warm_start(context: SweepContext, study: Study) -> None:
    """Once a study.

    Raises:
        HarnessError: for a search that cannot learn from them, and when there is no such experiment or sweep.
    """
    source = context.config.sweep.warm_start
    if source is None:
        return
    if context.objective == WIN_RATE:
        raise HarnessError("sweep.warm_start does not go with judge/win_rate: earlier runs may be judged otherwise")
    if context.config.sweep.trials is None:
        raise HarnessError("sweep.warm_start is for a sampler that learns; say how many trials, as sweep.trials=20")
    with study.alone():
        if study.parent is not None or study.known:
            return
        taken = _add_known(context, study, source)
    context.display.say(f"{taken} earlier runs of {source} fit this search: the sampler begins with what they scored")


def _add_known(context: SweepContext, study: Study, source: str) -> int:
    """Those that fit, and how many they are."""
    valid = context.session.split(context.config, "valid")
    digest = fixed_subset(valid, context.config.train.valid_rows).digest
    revision, metric = context.beginning[0], context.objective.name
    taken = 0
    for run in scored_runs(context.store, source, metric):
        params = as_combination(context.space, run.params)
        if params is None or run.base_revision != revision or run.valid_digest != digest:
            continue
        study.add_known(params, context.objective.minimized({metric: run.value}), run.run_id)
        taken += 1
    return taken
