"""What a sweep's losers give back: their checkpoints, not the state to go on from (sweep.keep).

Knows nothing of what makes a trial a loser.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import BusyError
from harness.models.adapter_files import WEIGHTS_FILE, checkpoint_name
from harness.sweeping.trial import Result, best_results
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.registry import promoted_steps
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store


def drop_losers(store: Store, results: Sequence[Result], keep: int) -> None:
    """All but the best `keep` give up their checkpoints, but for those that were promoted."""
    for result in [*best_results(results)[keep:], *(result for result in results if result.pruned)]:
        folder = store.runs / str(result.run_id)
        if result.run_id is None or not folder.exists():  # another machine has it
            continue
        journal = Journal(folder)
        if not journal.checkpoints() or journal.ended is None:
            continue
        promoted = promoted_steps(store, journal.run_id)
        if promoted is None or promoted.issuperset(journal.checkpoints()):
            continue
        try:
            _drop(store, folder.resolve(), kept=promoted, state=journal.ended, why=journal.reason)
        except BusyError:  # a process works on it
            continue


def _drop(store: Store, folder: Path, *, kept: set[int], state: RunState, why: str | None) -> None:
    """All but those at the updates `kept`; the run ends as it had."""
    adapters = folder / run_folder.ADAPTERS
    with TrackedRun.resume(store, folder) as run:
        for step in sorted(run.checkpoints - kept):
            file = adapters / checkpoint_name(step)
            run.drop_checkpoint(step, f"adapters/{file.name}")
            file.unlink(missing_ok=True)
        if not (adapters / WEIGHTS_FILE).exists():  # a link to the best of them
            (adapters / WEIGHTS_FILE).unlink(missing_ok=True)
        but = ", but for what was promoted" if kept else ""
        run.tags({"checkpoints": f"dropped{but}: others of its sweep were better (sweep.keep)"})
        run.finish(state, why)
