"""What users are meant to read: an exception for each kind that somebody tells apart, and how any is said in a line."""

# the exit code that shells give a process that SIGINT ended
INTERRUPTED = 130


class HarnessError(Exception):
    """Something the user can mend. The message is one line: the rule, the value, the next step."""


class WriteError(HarnessError):
    """A file could not be written. What was there before is there still, so the work can be gone on with."""


class BusyError(HarnessError):
    """Another process has it in hand."""


class DamagedError(HarnessError):
    """A file of ours does not hold what was written into it. The message names the file, and the line if it has any."""


class DeletedError(HarnessError):
    """A person deleted in MLflow what this is about: stop it, and begin nothing in its place."""


def reason(error: BaseException) -> str:
    """One line that says what a run or a trial died of."""
    said = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())
