"""A study that is damaged or gone, rebuilt from the runs in the store: what has finished is not trained again.

Knows nothing of how a study is kept.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.config.axes import Space, with_rules
from harness.config.read_axes import read_space
from harness.config.schema import Config
from harness.errors import HarnessError
from harness.files import only_process
from harness.multirun.context import SweepContext
from harness.multirun.recovered import begun_tags, recovered_repeats, recovered_trials, runs_of
from harness.sweeping.rebuild import has_begun, rebuild_study
from harness.sweeping.storage import Studies
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.reconcile import run_folders
from harness.tracking.recorded import config_of
from harness.tracking.run_kind import RunKind, kind_of
from harness.tracking.store import Store, was_deleted


@dataclass(frozen=True)
class Repaired:
    """`aside`: the damaged files as they were; `trials`: how many were put right."""

    sweep_id: str
    aside: list[Path]
    trials: int


def repair_sweep(store: Store, studies: Studies, sweep: str) -> Repaired:
    """By the beginning of the sweep's id, or the name of its study.

    Raises:
        HarnessError: when there is none, when it is worked on, or when nothing says what it varied.
    """
    parent = _parent(store, sweep)
    name = begun_tags(parent)["study"]
    with studies.alone(name), only_process(parent / run_folder.LOCK, f"sweep {parent.name}"):
        of_sweep = [each for each in studies.names() if each == name or each.startswith(f"{name}-")]  # its repeats too
        aside = [file for each in of_sweep if (file := studies.keep_intact_part(each)) is not None]
        trials = runs_of(store, parent.name, RunKind.TRIAL)
        config = next((found for journal in trials if (found := config_of(journal.folder)) is not None), None)
        space = _space(Journal(parent), config)
        count = _rebuild(store, studies, name, parent.name, space, config, trials)
    return Repaired(parent.name, aside, count)


def rebuild_if_gone(context: SweepContext, name: str) -> str | None:
    """The id of the sweep whose study was rebuilt; None where no run of this store stands for a study of that name."""
    store, studies = context.store, context.studies
    with studies.alone(name):
        if has_begun(studies, name):
            return None
        found = [folder.name for folder in run_folders(store) if _stands_for(folder, name)]
        if not found or was_deleted(store, found[-1]):
            return None
        trials = runs_of(store, found[-1], RunKind.TRIAL)
        _rebuild(store, studies, name, found[-1], context.space, context.config, trials)
    return found[-1]


def rebuild_repeats_if_gone(context: SweepContext, name: str, space: Space, sweep_id: str) -> None:
    """The study of a sweep's repeats; `space`: which of its trials, by their numbers, with which seed."""
    store, studies = context.store, context.studies
    with studies.alone(name):
        if has_begun(studies, name):
            return
        runs = _there(store, runs_of(store, sweep_id, RunKind.REPEAT))
        recovered = recovered_repeats(runs, list(space.combinations()), context.config.train.seed)
        if recovered:
            rebuild_study(studies, name, space, None, recovered, grid=True)


def _rebuild(
    store: Store, studies: Studies, name: str, parent: str, space: Space, config: Config | None, trials: list[Journal]
) -> int:
    grid = config is not None and config.sweep.trials is None
    recovered = recovered_trials(_there(store, trials), space, list(space.combinations()) if grid else [])
    return rebuild_study(studies, name, space, parent, recovered, grid=grid)


def _there(store: Store, runs: list[Journal]) -> list[Journal]:
    """Those that nobody deleted in MLflow."""
    return [run for run in runs if not was_deleted(store, run.run_id)]


def _parent(store: Store, sweep: str) -> Path:
    def is_meant(folder: Path) -> bool:
        tags = begun_tags(folder)
        study = tags.get("study", "?")
        meant = folder.name.startswith(sweep) or study.startswith(sweep) or sweep.startswith(f"{study}-")
        return kind_of(tags) is RunKind.SWEEP and meant

    found = [folder for folder in run_folders(store) if is_meant(folder)]
    if len(found) != 1:
        how_many = "no sweep" if not found else f"{len(found)} sweeps"
        raise HarnessError(f"{sweep} begins the id of {how_many} with a run in {store.runs}; type the whole of it")
    return found[0]


def _stands_for(folder: Path, name: str) -> bool:
    tags = begun_tags(folder)
    return kind_of(tags) is RunKind.SWEEP and tags.get("study") == name and Journal(folder).begun is not None


def _space(parent: Journal, config: Config | None) -> Space:
    """What varied, as the sweep's run has it."""
    varied = {name: said for name, said in parent.params().items() if not name.startswith("sweep.")}
    if not varied:
        raise HarnessError(f"the run of sweep {parent.run_id} does not say what varied; run its own command again")
    space = read_space({}, [f"{name}={_in_hydras_words(said)}" for name, said in varied.items()])
    return space if config is None else with_rules(space, config)


def _in_hydras_words(said: str) -> str:
    """See config/axes.py for how values are said."""
    if not said.startswith(("interval(", "int(interval(")):
        return f"choice({said})"
    if not said.endswith(" log"):
        return said
    interval = said.removesuffix(" log")
    return f"int(tag(log,{interval[4:-1]}))" if interval.startswith("int(") else f"tag(log,{interval})"
