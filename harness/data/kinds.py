"""Why a piece of a source, or a line, is no row: the one list of reasons, for reports and for counting."""

from enum import StrEnum


class Kind(StrEnum):
    """Why a piece of a source is no row. Those that are `bad` are faults: too many of them stop the command."""

    UNREADABLE = "unreadable"  # no JSON, or another encoding
    SHAPE = "unknown shape"
    TYPE = "wrong type"
    ROLE = "unknown role"
    ORDER = "order of turns"
    EMPTY = "empty text"
    CONTROL = "control characters"
    TEMPLATE = "refused by the template"
    REFUSED = "refused by the model"  # an LLM that was to write it; so are the next five
    COPIED = "copied from its passage"
    LEFT_IN = "details left in"
    META = "talk about the task"
    CUT = "cut reply"
    NO_REPLY = "no reply"
    NOT_ASKED = "not asked"  # for the budget was spent
    NOTHING = "nothing to learn"
    TOO_LONG = "too long"  # and source.too_long=drop
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"  # and source.near_duplicates=drop
    LABEL = "label not wanted"
    UNWANTED = "not wanted"  # what the source's own settings leave out

    @property
    def bad(self) -> bool:
        return self not in _NO_FAULTS


_NO_FAULTS = (Kind.NOT_ASKED, Kind.TOO_LONG, Kind.DUPLICATE, Kind.NEAR_DUPLICATE, Kind.LABEL, Kind.UNWANTED)
