"""What may be said of an item, by whom, and why it is not taken. Knows nothing of queues or files."""

from dataclasses import dataclass
from enum import StrEnum

from harness.data.reviews import Decision
from harness.errors import HarnessError
from harness.files import writable
from harness.reviewing.queue import Item
from harness.reviewing.standing import Preferred, Said

_LONGEST_NAME = 60


class Mode(StrEnum):
    """One text at a time, or two side by side."""

    TEXTS = "texts"
    PAIRS = "pairs"


class Fault(StrEnum):
    """Why something that was said is not taken. `STALE`: the page shows what is no longer so."""

    STALE = "stale"
    UNKNOWN = "unknown"
    REFUSED = "refused"


class SayingError(HarnessError):
    """What a page asked for is not done. `fault`: its kind."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a person wants to see. `state`: open, all, or a decision; `theme`: None for all."""

    mode: Mode = Mode.TEXTS
    theme: str | None = None
    state: str = "open"


def named(reviewer: str) -> str:
    """A person's name as it is kept.

    Raises:
        SayingError: when it is none.
    """
    name = writable(reviewer).strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SayingError(Fault.REFUSED, f"a name must be 1 to {_LONGEST_NAME} printable characters, but got {name!r}")
    return name


def checked(said: Said, item: Item) -> Said:
    """As it is kept: line ends are plain, and what no file can hold is replaced."""
    note = writable(said.note).strip()
    if len(item.texts) > 1:
        if said.edited is not None or said.decision not in (*Preferred, None):
            raise SayingError(Fault.REFUSED, f"of two texts say {', '.join(Preferred)}, but got {said.decision}")
        return Said(decision=said.decision, note=note)
    if said.decision not in (*Decision, None):
        raise SayingError(Fault.REFUSED, f"of a text say {', '.join(Decision)}, but got {said.decision}")
    if said.decision != Decision.EDIT:
        return Said(decision=said.decision, note=note)
    edited = _plain(writable(said.edited or ""))
    if not edited.strip():
        raise SayingError(Fault.REFUSED, "an edited text must not be empty; delete it instead")
    if edited == _plain(item.texts[0].text):
        raise SayingError(Fault.REFUSED, "nothing was changed; accept it instead")
    return Said(decision=said.decision, edited=edited, note=note)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
