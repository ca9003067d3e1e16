"""What a sweep may spend, in hours and bytes, a trial in minutes, and what losers give back."""

import signal
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from harness.config.schema import SweepConfig
from harness.errors import BusyError, HarnessError
from harness.models.adapter import WEIGHTS_FILE, checkpoint_name
from harness.sweeping.study import Result, best_results
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store


class Budget:
    """Of one command, which found `before` trials done."""

    def __init__(self, search: SweepConfig, store: Store, before: int) -> None:
        self._search, self._store, self._before = search, store, before
        self._started = monotonic()

    def trial_seconds(self, results: Sequence[Result]) -> float:
        """What one has taken here, on average; workers beside each other make it less."""
        return (monotonic() - self._started) / max(len(results) - self._before, 1)

    def spent(self, results: Sequence[Result]) -> str | None:
        """Why no other trial may begin, if so."""
        hours, disk = self._search.hours, self._search.disk_gb
        if hours is not None and len(results) > self._before:
            passed = monotonic() - self._started
            if passed + self.trial_seconds(results) > 3600 * hours:
                return f"another trial would end after sweep.hours={hours:g}"
        if disk is not None and (held := self._held(results)) > disk * 1e9:
            return f"its trials hold {held / 1e9:.1f} GB, more than sweep.disk_gb={disk:g} (sweep.keep=3 keeps less)"
        return None

    def _held(self, results: Sequence[Result]) -> int:
        """Bytes on disk, those with several names once."""
        sizes: dict[int, int] = {}
        for result in results:
            for file in folder_of(self._store, result).rglob("*") if result.run_id else ():
                if file.is_file() and not file.is_symlink():
                    sizes[file.stat().st_ino] = file.stat().st_size
        return sum(sizes.values())


def folder_of(store: Store, result: Result) -> Path:
    return store.runs / str(result.run_id)


def drop_losers(store: Store, results: Sequence[Result], keep: int) -> None:
    """All but the best `keep` give up their checkpoints; the state to go on from stays."""
    for result in [*best_results(results)[keep:], *(result for result in results if result.pruned)]:
        folder = folder_of(store, result)
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


class TrialLimit:
    """sweep.trial_minutes: an error at the next update; for one that hangs, the end of a process that is watched."""

    _GRACE_SECONDS = 5.0

    def __init__(self, minutes: float | None, *, hard: bool) -> None:
        self._minutes, self._hard = minutes, hard

    def __enter__(self) -> "TrialLimit":
        self._started = monotonic()
        if self._minutes is not None and self._hard:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever it is in
            signal.setitimer(signal.ITIMER_REAL, 66 * self._minutes + self._GRACE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._minutes is not None and self._hard:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def check(self) -> None:
        if self._minutes is not None and monotonic() - self._started > 60 * self._minutes:
            raise HarnessError(
                f"it took longer than sweep.trial_minutes={self._minutes:g}; raise that, or train.iters less"
            )
