"""From a choice of runs to a registered version with an alias, and what is said of it."""

from dataclasses import dataclass, replace

from harness.config.objective import OBJECTIVES, VALID_LOSS, Objective
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.tracking import queries
from harness.tracking.candidates import Candidates, of_experiment, of_run, of_sweep
from harness.tracking.luck import TEST, luck_of
from harness.tracking.registry import one_promotion, register, set_alias
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store, open_store


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which runs to choose from, and by what: None is what steers their sweep, or else the validation loss."""

    experiment: str | None = None
    sweep: str | None = None
    run: str | None = None
    metric: str | None = None
    maximize: bool = False

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
        return [f"--{key}" for key in ("experiment", "sweep", "run") if getattr(self, key) is not None]


def promote(tracking: TrackingConfig, choice: Choice, *, name: str | None, alias: str) -> None:
    """Register the best checkpoint of the choice, and point the alias at it.

    Raises:
        HarnessError: when there is nothing to choose from.
    """
    if len(choice.given) > 1:
        raise HarnessError(f"give one of --experiment, --sweep and --run, but got {' and '.join(choice.given)}")
    store = open_store(tracking)
    found = _find(store, choice)
    best, label = found.candidates.best, found.by.label
    if not best:
        raise HarnessError(f"{found.where} has no checkpoint with a {label}; choose other runs, or another --metric")
    if found.candidates.elsewhere:
        print(f"{found.candidates.elsewhere} checkpoints scored on other data are left out: not comparable")
    with one_promotion(store):
        version = register(store, best[0], name or found.experiment)
        before = set_alias(store, version.name, alias, version.number)
    verb = "registered as" if version.new else "is already"
    print(f"best of {len(best)} checkpoints in {found.where}: {label} {best[0].value:.4f}")
    if found.by == VALID_LOSS:
        _say_what_is_left(store, [point.run_id for point in best])
    print(f"update {best[0].step} of run {best[0].run_id} {verb} {version.name} version {version.number}")
    _say_alias(version.name, alias, version.number, before)


def roll_to(tracking: TrackingConfig, choice: Choice, *, name: str | None, alias: str, version: int) -> None:
    """Point the alias at a version that is there already."""
    if name is None:
        raise HarnessError("--version needs --name, the registered model whose version it is")
    if choice.given:
        raise HarnessError(f"--version names what to promote; leave out {' and '.join(choice.given)}")
    store = open_store(tracking)
    with one_promotion(store):
        before = set_alias(store, name, alias, version)
    _say_alias(name, alias, version, before)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What there is to choose from: by which objective, of which experiment, and words for where they come from."""

    candidates: Candidates
    by: Objective
    experiment: str
    where: str


def _find(store: Store, choice: Choice) -> _Found:
    if choice.experiment is not None:
        experiment_id = store.find_experiment(choice.experiment)
        if experiment_id is None:
            names = ", ".join(e.name for e in store.client.search_experiments())
            raise HarnessError(f"--experiment={choice.experiment} is not in {store.uri}; there is {names}")
        by = choice.by(VALID_LOSS)
        found = of_experiment(store, experiment_id, by)
        where = f"experiment {choice.experiment}"
        return _Found(candidates=found, by=by, experiment=choice.experiment, where=where)
    chosen = _run_or_sweep(store, choice)
    by = choice.by(queries.steered_by(store, chosen))
    is_sweep = chosen.kind is RunKind.SWEEP
    return _Found(
        candidates=of_sweep(store, chosen, by) if is_sweep else of_run(store, chosen, by),
        by=by,
        experiment=store.client.get_experiment(chosen.experiment_id).name,
        where=f"{'sweep' if is_sweep else 'run'} {chosen.run_id}",
    )


def _run_or_sweep(store: Store, choice: Choice) -> queries.Finished:
    wanted = choice.sweep or choice.run
    if wanted is None:
        return queries.newest(store)
    found = queries.get(store, wanted)
    if choice.sweep and found.kind is not RunKind.SWEEP:
        raise HarnessError(f"--sweep={wanted} is a single run; give it as --run={wanted}")
    return found


def _say_what_is_left(store: Store, run_ids: list[str]) -> None:
    """Of a loss that was chosen: the best's run stands first."""
    luck = luck_of(store, list(dict.fromkeys(run_ids)))
    if luck is not None:
        print(luck.said)
        if others := len(luck.alike - {run_ids[0]}):
            print(f"{others} other run{'s' if others > 1 else ''} may be as good: the validation rows do not tell")
    tested = queries.get(store, run_ids[0]).metrics.get(TEST)
    if tested is not None:
        print(f"on the test split: {tested:.4f}")


def _say_alias(name: str, alias: str, number: int, before: int | None) -> None:
    if before == number:
        print(f"models:/{name}@{alias} was version {number} already")
        return
    print(f"models:/{name}@{alias} is now version {number}")
    if before is not None:
        print(f"it was version {before}; back with: python -m harness.promote --name {name} --version {before}")
