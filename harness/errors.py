"""What users are meant to read: an exception for each kind that somebody tells apart, and how any is said in a line."""

from pathlib import Path


class HarnessError(Exception):
    """Something the user can mend. The message is one line: the rule, the value, the next step."""


class WriteError(HarnessError):
    """A file could not be written. What was there before is there still, so the work can be gone on with."""


class BusyError(HarnessError):
    """Another process has it in hand."""


class SettingError(HarnessError):
    """A setting, by its `name`, breaks a rule. The message is the whole line, with the name in it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class DeletedError(HarnessError):
    """A person deleted in MLflow what this is about: stop it, and begin nothing in its place."""


class DamagedError(HarnessError):
    """A file is not what was written: cut, or changed since. `why`: what is found of it, a sentence without subject."""

    def __init__(self, path: Path, why: str, next_step: str) -> None:
        super().__init__(f"{path} {why}; {next_step}")
        self.path, self.why = path, why


class LostError(HarnessError):
    """A process that works on the same with this one has gone, or cannot be reached."""


class DivergedError(HarnessError):
    """What is trained is no number any more."""


class BudgetSpentError(HarnessError):
    """No further call to an endpoint is allowed. What was paid for is still answered."""


def reason(error: BaseException) -> str:
    """One line that says what a run or a trial died of."""
    said = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())
