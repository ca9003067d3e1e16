"""The names of a base: by which another machine finds it, and what it was made from, as its model card says.

Knows nothing of weights or adapters.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from harness.models import builtin
from harness.models.base import Base


def is_public(path: str) -> bool:
    """Whether it names a base that comes with the harness or a hub's, rather than a folder of this machine."""
    return path in builtin.NAMES or not (Path(path).is_absolute() or path.startswith((".", "~")))


def public_path(base: Base) -> str | None:
    """By which the base is found on another machine too; None for a folder of this one."""
    return base.path if is_public(base.path) else None


def public_name(base: Base) -> str:
    """For people: the same, or the last part of a folder's path."""
    return public_path(base) or Path(base.path).name


def found_at(base: Base) -> str:
    """What stands for the base in a command: a hub's name, or a place to be filled in."""
    if base.path in builtin.NAMES:
        return f"path/to/mlruns/cache/{base.folder.name}"
    return public_path(base) or f"path/to/{public_name(base)}"


def head_of_card(base: Base) -> dict[str, Any]:
    """The head of the card that lies in the base's folder; empty where there is none that can be read."""
    try:
        found = re.match(r"---\n(.*?)\n---", (base.folder / "README.md").read_text("utf-8"), re.DOTALL)
        values = yaml.safe_load(found[1]) if found else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return dict(values) if isinstance(values, dict) else {}


def origin_of(base: Base) -> str | None:
    """The hub's model that a base was converted from, as its card says; None where nothing does."""
    said = head_of_card(base).get("base_model")
    first = said[0] if isinstance(said, list) and said else said
    return first if isinstance(first, str) and first.count("/") == 1 and is_public(first) else None
