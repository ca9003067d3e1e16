"""A sweep's trials as their runs' folders have them: what was tried, and what came of it.

Knows nothing of studies that are rebuilt from them. A folder that cannot be read costs only its own run.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from harness.config.axes import Combination, Rules, Space, as_combination
from harness.config.objective import VALID_LOSS
from harness.errors import HarnessError, reason
from harness.multirun.trial_run import trial_value
from harness.sweeping.rebuild import Recovered
from harness.sweeping.states import TrialStatus
from harness.tracking import run_folder
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Journal
from harness.tracking.reconcile import run_folders
from harness.tracking.recorded import config_of
from harness.tracking.run_kind import RunKind, kind_of
from harness.tracking.run_state import STATE, RunState, state_of
from harness.tracking.store import Store


def begun_tags(folder: Path) -> dict[str, str]:
    """What a run was begun with; empty where that cannot be read."""
    with (folder / run_folder.JOURNAL).open("rb") as file:
        try:
            first = json.loads(file.readline())
        except ValueError:
            return {}
    return dict(first.get("tags", {})) if isinstance(first, dict) else {}


def runs_of(store: Store, sweep_id: str, kind: RunKind) -> list[Journal]:
    """A sweep's trials or repeats, the oldest first. One that cannot be read costs only itself."""

    def found() -> Iterator[Journal]:
        for folder in run_folders(store):
            tags = begun_tags(folder)
            if kind_of(tags) is kind and tags.get("sweep") == sweep_id:
                run = Journal(folder)
                if run.begun is not None:
                    yield run

    return list(found())


def recovered_trials(runs: Sequence[Journal], space: Space, every: Sequence[Combination]) -> list[Recovered]:
    """Of each trial what its runs, the oldest first, say. `every`: all combinations in order, where all are tried."""
    found: dict[int, Recovered] = {}
    for run in runs:
        number = int(run.entries[0]["tags"]["trial"])
        params = _combination(space, run.tag("overrides"))
        if params is None and number < len(every):
            params = every[number]
        former = found.get(number)
        if params is not None and (former is None or not former.status.has_ended):
            found[number] = _recovered(run, number, params)
    return list(found.values())


def recovered_repeats(runs: Sequence[Journal], every: Sequence[Combination], seed: int) -> list[Recovered]:
    """Of each repeat. `every`: number of the trial and seed, in order; `seed`: the sweep's own."""
    found: dict[int, Recovered] = {}
    for run in runs:
        tags = run.entries[0]["tags"]
        params: Combination = {"trial": int(tags["trial"]), "seed": seed + int(tags["repeat"])}
        if params in every:
            number = every.index(params)
            found[number] = _recovered(run, number, params)
    return list(found.values())


def _recovered(run: Journal, number: int, params: Combination) -> Recovered:
    left = Recovered(
        number=number,
        params=params,
        status=TrialStatus.RUNNING,
        run_id=run.run_id,
        started=_moment(run.entries[0]["time"]),
        ended=_moment(run.entries[-1]["time"]),
        reports=_reports(run),
    )
    return _with_end(left, run)


def _with_end(found: Recovered, journal: Journal) -> Recovered:
    match _state(journal):
        case RunState.FINISHED:
            try:
                return replace(found, status=TrialStatus.DONE, value=_value(journal.folder))
            except HarnessError as error:
                return replace(found, status=TrialStatus.FAILED, failure=reason(error))
            except (OSError, ValueError, KeyError):  # its report is damaged: it is tried again, from its checkpoints
                return found
        case RunState.FAILED:
            return replace(found, status=TrialStatus.FAILED, failure=journal.reason or "?")
        case RunState.PRUNED if found.reports:
            return replace(found, status=TrialStatus.PRUNED)
    return found


def _state(journal: Journal) -> RunState | None:
    if journal.ended is None:
        return None
    said = journal.tag(STATE)
    return state_of(journal.ended, {"failure": journal.reason or ""} | ({STATE: said} if said else {}))


def _value(folder: Path) -> float:
    totals = json.loads((folder / run_folder.REPORT).read_text("utf-8"))["totals"]
    config = config_of(folder)
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
        values = entry.get("values") if entry["kind"] == EntryKind.METRICS else entry.get("scores")
        if entry.get("step") and values and name in values:
            reports[int(entry["step"])] = float(values[name])
    return reports


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000)
