"""What a sweep's losers give back: their checkpoints, not the state to go on from (sweep.keep)."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import BusyError
from harness.models.adapter_files import WEIGHTS_FILE, checkpoint_name
from harness.sweeping.study import Result, best_results
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store


def drop_losers(store: Store, results: Sequence[Result], keep: int) -> None:
    """All but the best `keep` give up their checkpoints."""
    for result in [*best_results(results)[keep:], *(result for result in results if result.pruned)]:
        folder = store.runs / str(result.run_id)
        if result.run_id is None or not folder.exists():  # another machine has it
            continue
        journal = Journal(folder)
        if not journal.checkpoints() or journal.ended is None:
            continue
        try:
            _drop(store, folder.resolve(), journal.ended, journal.reason)
        except BusyError:  # a process works on it
            continue


def _drop(store: Store, folder: Path, status: str, why: str | None) -> None:
    with TrackedRun.resume(store, folder) as run:
        for step in sorted(run.checkpoints):
            file = folder / run_folder.ADAPTERS / checkpoint_name(step)
            run.drop_checkpoint(step, f"adapters/{file.name}")
            file.unlink(missing_ok=True)
        (folder / run_folder.ADAPTERS / WEIGHTS_FILE).unlink(missing_ok=True)
        run.tags({"checkpoints": "dropped: others of its sweep were better (sweep.keep)"})
        run.finish(status, why)
