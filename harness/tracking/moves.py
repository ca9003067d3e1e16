"""Where an alias has pointed: a tag of the registered model for each move, so that no two moves write the same one.

Knows nothing of why a version is better than another.
"""

import getpass
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mlflow.exceptions import MlflowException

from harness.tracking.store import Store

_PREFIX = "moved."


class MovedBy(StrEnum):
    """What let an alias move."""

    GATE = "gate"
    FORCE = "force"
    ROLL_BACK = "roll-back"


@dataclass(frozen=True, kw_only=True)
class Move:
    """`at`: ISO 8601, UTC; `before`: the version that it left, None for the first; `to`: the version it came to.

    `why`: in a line, by the gate's figures or in a person's words.
    """

    alias: str
    at: str
    who: str
    before: int | None
    to: int
    by: MovedBy
    why: str


def moved(alias: str, *, before: int | None, by: MovedBy, why: str) -> Move:
    """A move of now, by whoever runs this; where it leads is to be said yet."""
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    return Move(alias=alias, at=at, who=_user(), before=before, to=0, by=by, why=why)


def _user() -> str:
    """Who runs this, as the system has it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        return "unknown"


def keep_move(store: Store, name: str, move: Move) -> str:
    """Write it down; returns the tag's name, by which it can be taken back."""
    key = f"{_PREFIX}{move.alias}.{''.join(each for each in move.at if each.isdigit())}"
    store.client.set_registered_model_tag(name, key, json.dumps(asdict(move), ensure_ascii=False))
    return key


def forget_move(store: Store, name: str, key: str) -> None:
    store.client.delete_registered_model_tag(name, key)


def moves_of(store: Store, name: str) -> list[Move]:
    """Of all aliases of a registered model, the oldest first; none where there is no such model."""
    try:
        tags = store.client.get_registered_model(name).tags
    except MlflowException:
        return []
    found = [_read(value) for key, value in tags.items() if key.startswith(_PREFIX)]
    return sorted((move for move in found if move is not None), key=lambda move: move.at)


def _read(value: str) -> Move | None:
    """None for what somebody else wrote there."""
    try:
        record: dict[str, Any] = json.loads(value)
        return Move(**(record | {"by": MovedBy(record["by"])}))
    except (ValueError, TypeError, KeyError):
        return None
