"""What a sweep may spend, in hours and bytes, and a trial in minutes. Knows nothing of what they are spent on."""

import signal
from collections.abc import Callable, Sequence

from harness.config.schema import SweepConfig
from harness.errors import HarnessError
from harness.sweeping.trial import Result
from harness.tracking.store import Store

# seconds since whenever
Clock = Callable[[], float]


class Budget:
    """Of one command, which found `before` trials done."""

    def __init__(self, search: SweepConfig, store: Store, before: int, clock: Clock) -> None:
        self._search, self._store, self._before = search, store, before
        self._clock, self._started = clock, clock()

    def trial_seconds(self, results: Sequence[Result]) -> float:
        """What one has taken here, on average; workers beside each other make it less."""
        return (self._clock() - self._started) / max(len(results) - self._before, 1)

    def spent(self, results: Sequence[Result]) -> str | None:
        """Why no other trial may begin, if so."""
        hours, disk = self._search.hours, self._search.disk_gb
        if hours is not None and len(results) > self._before:
            passed = self._clock() - self._started
            if passed + self.trial_seconds(results) > 3600 * hours:
                return f"another trial would end after sweep.hours={hours:g}"
        if disk is not None and (held := self._held(results)) > disk * 1e9:
            return f"its trials hold {held / 1e9:.1f} GB, more than sweep.disk_gb={disk:g} (sweep.keep=3 keeps less)"
        return None

    def _held(self, results: Sequence[Result]) -> int:
        """Bytes on disk, those with several names once."""
        sizes: dict[int, int] = {}
        for result in results:
            for file in (self._store.runs / result.run_id).rglob("*") if result.run_id else ():
                if file.is_file() and not file.is_symlink():
                    sizes[file.stat().st_ino] = file.stat().st_size
        return sum(sizes.values())


class TrialLimit:
    """sweep.trial_minutes: an error at the next update; for one that hangs, the end of a process that is watched."""

    _GRACE_SECONDS = 5.0

    def __init__(self, minutes: float | None, clock: Clock, *, hard: bool) -> None:
        self._minutes, self._clock, self._hard = minutes, clock, hard

    def __enter__(self) -> "TrialLimit":
        self._started = self._clock()
        if self._minutes is not None and self._hard:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever it is in
            signal.setitimer(signal.ITIMER_REAL, 66 * self._minutes + self._GRACE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._minutes is not None and self._hard:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def check(self) -> None:
        if self._minutes is not None and self._clock() - self._started > 60 * self._minutes:
            raise HarnessError(
                f"it took longer than sweep.trial_minutes={self._minutes:g}; raise that, or train.iters less"
            )
