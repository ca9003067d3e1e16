"""A study that is damaged or gone, rebuilt from the runs in the store: what has finished is not trained again.

Knows nothing of how a study is kept.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from harness.config.axes import Combination, Rules, Space, as_combination, read_space, with_rules
from harness.config.load import from_values
from harness.config.objective import VALID_LOSS
from harness.config.schema import Config
from harness.errors import HarnessError, reason
from harness.files import only_process
from harness.multirun.context import SweepContext
from harness.multirun.trial_run import trial_value
from harness.sweeping.rebuild import Recovered, has_begun, rebuild_study
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import Studies
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.overview import PRUNED, was_deleted
from harness.tracking.reconcile import run_folders
from harness.tracking.store import Store


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
    name = str(_begun(parent)["tags"]["study"])
    with studies.alone(name), only_process(parent / run_folder.LOCK, f"sweep {parent.name}"):
        of_sweep = [each for each in studies.names() if each == name or each.startswith(f"{name}-")]  # its repeats too
        aside = [file for each in of_sweep if (file := studies.keep_intact_part(each)) is not None]
        trials = _runs_of(store, parent.name, "trial")
        config = next((found for journal in trials if (found := _config(journal.folder)) is not None), None)
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
        trials = _runs_of(store, found[-1], "trial")
        _rebuild(store, studies, name, found[-1], context.space, context.config, trials)
    return found[-1]


def rebuild_repeats_if_gone(context: SweepContext, name: str, space: Space, sweep_id: str) -> None:
    """The study of a sweep's repeats; `space`: which of its trials, by their numbers, with which seed."""
    store, studies = context.store, context.studies
    every = list(space.combinations())
    with studies.alone(name):
        if has_begun(studies, name):
            return
        recovered = {}
        for journal in _runs_of(store, sweep_id, "repeat"):
            tags = journal.entries[0]["tags"]
            params: Combination = {
                "trial": int(tags["trial"]),
                "seed": context.config.train.seed + int(tags["repeat"]),
            }
            if params in every and not was_deleted(store, journal.run_id):
                each = _with_end(_begun_trial(journal, every.index(params), params), journal)
                recovered[each.number] = each
        if recovered:
            rebuild_study(studies, name, space, None, list(recovered.values()), grid=True)


def _rebuild(
    store: Store,
    studies: Studies,
    name: str,
    parent: str,
    space: Space,
    config: Config | None,
    trials: list[Journal],
) -> int:
    grid = config is not None and config.sweep.trials is None
    every = list(space.combinations()) if grid else []
    recovered: dict[int, Recovered] = {}
    for journal in trials:
        each = _recovered(journal, space, every)
        former = recovered.get(each.number) if each else None
        if each is None or was_deleted(store, each.run_id):
            continue
        if former is None or not former.status.has_ended:
            recovered[each.number] = each
    return rebuild_study(studies, name, space, parent, list(recovered.values()), grid=grid)


def _parent(store: Store, sweep: str) -> Path:
    def is_meant(folder: Path) -> bool:
        tags = _begun(folder).get("tags", {})
        study = str(tags.get("study"))
        meant = folder.name.startswith(sweep) or study.startswith(sweep) or sweep.startswith(f"{study}-")
        return tags.get("kind") == "sweep" and meant

    found = [folder for folder in run_folders(store) if is_meant(folder)]
    if len(found) != 1:
        how_many = "no sweep" if not found else f"{len(found)} sweeps"
        raise HarnessError(f"{sweep} begins the id of {how_many} with a run in {store.runs}; type the whole of it")
    return found[0]


def _begun(folder: Path) -> dict[str, Any]:
    """A run's first entry; empty where that cannot be read."""
    with (folder / run_folder.JOURNAL).open("rb") as file:
        try:
            first = json.loads(file.readline())
        except ValueError:
            return {}
    return first if isinstance(first, dict) else {}


def _stands_for(folder: Path, name: str) -> bool:
    tags = _begun(folder).get("tags", {})
    return tags.get("kind") == "sweep" and tags.get("study") == name


def _runs_of(store: Store, sweep_id: str, kind: str) -> list[Journal]:
    """A sweep's trials or repeats, the oldest first. One that cannot be read costs only itself."""

    def found() -> Iterator[Journal]:
        for folder in run_folders(store):
            tags = _begun(folder).get("tags", {})
            if tags.get("kind") == kind and tags.get("sweep") == sweep_id:
                try:
                    yield Journal(folder)
                except (ValueError, KeyError, HarnessError):
                    continue

    return list(found())


def _config(folder: Path) -> Config | None:
    try:
        return from_values(yaml.safe_load((folder / run_folder.CONFIG).read_text("utf-8")), Config)
    except (OSError, ValueError, yaml.YAMLError, HarnessError):
        return None


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


def _recovered(journal: Journal, space: Space, every: list[Combination]) -> Recovered | None:
    """A trial as its run has it; None where the run does not say what it tried."""
    number = int(journal.entries[0]["tags"]["trial"])
    params = _combination(space, journal.tag("overrides"))
    if params is None and number < len(every):
        params = every[number]
    if params is None:
        return None
    return _with_end(_begun_trial(journal, number, params), journal)


def _begun_trial(journal: Journal, number: int, params: Combination) -> Recovered:
    return Recovered(
        number=number,
        params=params,
        status=TrialStatus.RUNNING,
        run_id=journal.run_id,
        started=_moment(journal.entries[0]["time"]),
        ended=_moment(journal.entries[-1]["time"]),
        reports=_reports(journal),
    )


def _with_end(found: Recovered, journal: Journal) -> Recovered:
    match journal.ended:
        case "FINISHED":
            try:
                return replace(found, status=TrialStatus.DONE, value=_value(journal.folder))
            except HarnessError as error:
                return replace(found, status=TrialStatus.FAILED, failure=reason(error))
            except (OSError, ValueError, KeyError):  # its report is damaged: it is tried again, from its checkpoints
                return found
        case "FAILED":
            return replace(found, status=TrialStatus.FAILED, failure=journal.reason or "?")
        case "KILLED" if (journal.reason or "").startswith(PRUNED) and found.reports:
            return replace(found, status=TrialStatus.PRUNED)
    return found


def _value(folder: Path) -> float:
    totals = json.loads((folder / run_folder.REPORT).read_text("utf-8"))["totals"]
    config = _config(folder)
    if config is None:
        raise ValueError(folder)
    return trial_value(config, totals)


def _combination(space: Space, overrides: str) -> Combination | None:
    words = dict(word.partition("=")[::2] for word in shlex.split(overrides))
    axes = [axis for axis in space.axes if axis.name in words]
    if not axes:
        return None
    return as_combination(replace(space, axes=axes, rules=Rules()), words)


def _reports(journal: Journal) -> dict[int, float]:
    """The validation loss by update, as the run reported it to the study."""
    name, reports = VALID_LOSS.checkpoint, {}
    for entry in journal.entries:
        values = entry.get("values") if entry["kind"] == "metrics" else entry.get("scores")
        if entry.get("step") and values and name in values:
            reports[int(entry["step"])] = float(values[name])
    return reports


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000)
