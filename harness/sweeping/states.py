"""What may be said of a trial and of a study, in the words that people read. Nothing heavy here."""

from enum import StrEnum


class TrialStatus(StrEnum):
    """Of a trial. Its order is that of a table: at work, then the best first."""

    RUNNING = "running"
    DONE = "done"
    PRUNED = "pruned"
    FAILED = "failed"
    WAITING = "waiting"

    @property
    def has_ended(self) -> bool:
        return self in (TrialStatus.DONE, TrialStatus.PRUNED, TrialStatus.FAILED)


class StudyStatus(StrEnum):
    """Of a study: what those at work on it do, or how they left it."""

    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    DONE = "done"


STOPPED = "stopped by harness.sweep"  # why a study is left where somebody asked for that
