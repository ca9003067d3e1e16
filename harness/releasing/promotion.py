"""From a choice of runs to a registered version with an alias, and what is said of it."""

from dataclasses import dataclass

from harness.config.objective import VALID_LOSS
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.tracking import overview
from harness.tracking.luck import TEST, luck_of
from harness.tracking.registry import Candidates, checkpoints, of_run, of_sweep, register, set_alias
from harness.tracking.store import Store, open_store


@dataclass(frozen=True)
class Choice:
    """Which runs to choose from, and by what."""

    experiment: str | None
    sweep: str | None
    run: str | None
    metric: str
    maximize: bool

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
    candidates, experiment, where = _candidates(store, choice)
    if not candidates.best:
        raise HarnessError(f"{where} has no checkpoint with a {choice.metric}; choose other runs, or another --metric")
    if candidates.elsewhere:
        print(f"{candidates.elsewhere} checkpoints scored on other validation data are left out: not comparable")
    best = candidates.best[0]
    version = register(store, best, name or experiment)
    before = set_alias(store, version.name, alias, version.number)
    verb = "registered as" if version.new else "is already"
    print(f"best of {len(candidates.best)} checkpoints in {where}: {choice.metric} {best.value:.4f}")
    if choice.metric == VALID_LOSS.checkpoint:
        _say_what_is_left(store, [point.run_id for point in candidates.best])
    print(f"update {best.step} of run {best.run_id} {verb} {version.name} version {version.number}")
    _say_alias(version.name, alias, version.number, before)


def roll_to(tracking: TrackingConfig, choice: Choice, *, name: str | None, alias: str, version: int) -> None:
    """Point the alias at a version that is there already."""
    if name is None:
        raise HarnessError("--version needs --name, the registered model whose version it is")
    if choice.given:
        raise HarnessError(f"--version names what to promote; leave out {' and '.join(choice.given)}")
    before = set_alias(open_store(tracking), name, alias, version)
    _say_alias(name, alias, version, before)


def _candidates(store: Store, choice: Choice) -> tuple[Candidates, str, str]:
    """The candidates, their experiment's name, and words for where they come from."""
    if choice.experiment is not None:
        experiment_id = store.find_experiment(choice.experiment)
        if experiment_id is None:
            names = ", ".join(e.name for e in store.client.search_experiments())
            raise HarnessError(f"--experiment={choice.experiment} is not in {store.uri}; there is {names}")
        where, filter_ = f"experiment {choice.experiment}", None
    else:
        chosen = _run_or_sweep(store, choice)
        experiment_id = chosen.experiment_id
        is_sweep = chosen.tags.get("kind") == "sweep"
        filter_ = of_sweep(chosen.run_id) if is_sweep else of_run(chosen.run_id)
        where = f"{'sweep' if is_sweep else 'run'} {chosen.run_id}"
    found = checkpoints(store, [experiment_id], filter_, metric=choice.metric, maximize=choice.maximize)
    return found, store.client.get_experiment(experiment_id).name, where


def _run_or_sweep(store: Store, choice: Choice) -> overview.Finished:
    wanted = choice.sweep or choice.run
    if wanted is None:
        return overview.newest(store)
    found = overview.get(store, wanted)
    if choice.sweep and found.tags.get("kind") != "sweep":
        raise HarnessError(f"--sweep={wanted} is a single run; give it as --run={wanted}")
    return found


def _say_what_is_left(store: Store, run_ids: list[str]) -> None:
    """Of a loss that was chosen: the best's run stands first."""
    luck = luck_of(store, list(dict.fromkeys(run_ids)))
    if luck is not None:
        print(luck.said)
        if others := len(luck.alike - {run_ids[0]}):
            print(f"{others} other run{'s' if others > 1 else ''} may be as good: the validation rows do not tell")
    tested = overview.get(store, run_ids[0]).metrics.get(TEST)
    if tested is not None:
        print(f"on the test split: {tested:.4f}")


def _say_alias(name: str, alias: str, number: int, before: int | None) -> None:
    if before == number:
        print(f"models:/{name}@{alias} was version {number} already")
        return
    print(f"models:/{name}@{alias} is now version {number}")
    if before is not None:
        print(f"it was version {before}; back with: python -m harness.promote --name {name} --version {before}")
