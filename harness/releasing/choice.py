"""Which checkpoint is to be promoted: the best of a run, a sweep or an experiment, and what it was chosen among.

Knows runs by their metrics. Does not know the registry, nor whether the best is good enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.config.objective import OBJECTIVES, VALID_LOSS, Objective
from harness.errors import HarnessError
from harness.tracking import queries
from harness.tracking.candidates import Candidates, Checkpoint, of_experiment, of_run, of_sweep
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which runs to choose from, and by what: None is what steers their sweep, or else the validation loss.

    `adapter`: instead of a run's checkpoint, the folder of one that no run here trained.
    """

    experiment: str | None = None
    sweep: str | None = None
    run: str | None = None
    metric: str | None = None
    maximize: bool = False
    adapter: str | None = None

    def by(self, default: Objective) -> Objective:
        """What decides."""
        if self.metric is None:
            chosen = default
        else:
            known = {key: each for each in OBJECTIVES.values() for key in (each.name, each.checkpoint)}
            plain = Objective(self.metric, self.metric, maximize=False, checkpoint=self.metric)
            chosen = known.get(self.metric, plain)
        return replace(chosen, maximize=True) if self.maximize else chosen

    @property
    def given(self) -> list[str]:
        return [f"--{key}" for key in ("experiment", "sweep", "run", "adapter") if getattr(self, key) is not None]

    def only_adapter(self) -> str:
        """Raises: HarnessError where something to choose from, or by, is given beside it."""
        beside = [*self.given[:-1], *(["--metric"] if self.metric else []), *(["--maximize"] if self.maximize else [])]
        if beside or self.adapter is None:
            raise HarnessError(f"--adapter names what to promote; leave out {' and '.join(beside)}")
        return self.adapter


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The best first, by which objective, of which experiment, and words for where they come from.

    `among`: what luck had its choice among: the best, then what it came before. A trial that is named by hand was seen
    beside the others of its sweep.
    """

    best: Sequence[Checkpoint]
    among: Sequence[Checkpoint]
    elsewhere: int
    by: Objective
    experiment: str
    where: str


def choose(store: Store, choice: Choice) -> Chosen:
    """Raises: HarnessError when there is nothing to choose from."""
    if len(choice.given) > 1:
        raise HarnessError(f"give one of --experiment, --sweep and --run, but got {' and '.join(choice.given)}")
    if choice.experiment is not None:
        return _of_experiment(store, choice, choice.experiment)
    run = _run_or_sweep(store, choice)
    by = choice.by(queries.steered_by(store, run))
    is_sweep = run.kind is RunKind.SWEEP
    found = of_sweep(store, run, by) if is_sweep else of_run(store, run, by)
    return _chosen(
        found,
        _of_its_sweep(store, run, by),
        by=by,
        experiment=store.client.get_experiment(run.experiment_id).name,
        where=f"{'sweep' if is_sweep else 'run'} {run.run_id}",
    )


def _of_experiment(store: Store, choice: Choice, name: str) -> Chosen:
    experiment_id = store.find_experiment(name)
    if experiment_id is None:
        names = ", ".join(e.name for e in store.client.search_experiments())
        raise HarnessError(f"--experiment={name} is not in {store.uri}; there is {names}")
    by = choice.by(VALID_LOSS)
    found = of_experiment(store, experiment_id, by)
    return _chosen(found, [], by=by, experiment=name, where=f"experiment {name}")


def _chosen(found: Candidates, beside: Sequence[Checkpoint], *, by: Objective, experiment: str, where: str) -> Chosen:
    """`beside`: checkpoints of other runs that it was seen with."""
    if not found.best:
        raise HarnessError(f"{where} has no checkpoint with a {by.label}; choose other runs, or another --metric")
    best = found.best[0]
    known = {point.model_id for point in found.best}
    others = [point for point in beside if point.digest == best.digest and point.model_id not in known]
    worse = [point for point in others if _value(point, by) >= _value(best, by)]
    among = [*found.best, *worse]
    return Chosen(best=found.best, among=among, elsewhere=found.elsewhere, by=by, experiment=experiment, where=where)


def _value(point: Checkpoint, by: Objective) -> float:
    return by.minimized({by.name: point.value})


def _of_its_sweep(store: Store, run: queries.Finished, by: Objective) -> list[Checkpoint]:
    if run.kind is not RunKind.TRIAL or run.sweep_id is None:
        return []
    try:
        return of_sweep(store, queries.get(store, run.sweep_id), by).best
    except HarnessError:  # removed for good
        return []


def _run_or_sweep(store: Store, choice: Choice) -> queries.Finished:
    wanted = choice.sweep or choice.run
    if wanted is None:
        return queries.newest(store)
    found = queries.get(store, wanted)
    if choice.sweep and found.kind is not RunKind.SWEEP:
        raise HarnessError(f"--sweep={wanted} is a single run; give it as --run={wanted}")
    return found
