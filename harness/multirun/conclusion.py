"""What is said of a sweep once its command is over: what failed, the table, the report. Changes nothing of it."""

from harness.config.schema import Config
from harness.console.progress import Display
from harness.errors import HarnessError, reason
from harness.multirun.one_trial import OneTrial
from harness.multirun.report import write_report
from harness.multirun.sweep import SweepResult
from harness.multirun.table import print_sweep
from harness.multirun.widening import widening_said
from harness.sweeping.listing import find_study
from harness.sweeping.storage import open_studies
from harness.tracking import run_folder
from harness.tracking.store import open_store


def conclude(swept: SweepResult, config: Config, display: Display) -> int:
    """Say it; returns the exit status: 1 when all trials have failed."""
    failures = [result for result in swept.results if result.failure is not None]
    for result in failures:
        again = OneTrial(swept.sweep_id, result.trial.place)
        how = again.command(tracking_uri=config.tracking.uri, storage=config.sweep.storage)
        display.say(f"trial {result.trial.place} failed: {result.failure}; to try it again: {how}")
    try:
        print_sweep(swept.sweep_id, config.tracking)
    except HarnessError as error:  # the store went away: the trials are done all the same
        display.say(f"warning: the table of sweep {swept.sweep_id} cannot be shown: {error}")
    if swept.results:
        _report(swept.sweep_id, config, display)
    return int(bool(failures) and len(failures) == len(swept.results))


def _report(sweep_id: str, config: Config, display: Display) -> None:
    """What goes wrong here costs no trial, so it is only said."""
    try:
        store = open_store(config.tracking)
        studies = open_studies(config.sweep.storage, store.studies)
        listed = find_study(studies, sweep_id)
        for line in widening_said(store, studies, listed):
            display.say(line)
        if not config.sweep.report:
            return
        file = store.runs / sweep_id / run_folder.SWEEP_REPORT
        write_report(store, studies, listed, file)
        display.say(f"report: {file}")
    except Exception as error:
        display.say(
            f"warning: no report of sweep {sweep_id} ({reason(error)}); try python -m harness.report {sweep_id}"
        )
