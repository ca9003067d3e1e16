"""The records of JSON files, one after the other: JSON lines or a list, in any encoding, each with its place.

Knows nothing of what a record means.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.data.cleaning import encoding_of, read_any
from harness.data.kinds import Kind
from harness.data.shapes import CONVERSATIONS
from harness.data.sources.found import Rejected
from harness.errors import HarnessError

SUFFIXES = (".jsonl", ".json", ".ndjson")
_OF_A_ROW = {"prompt", "text", "instruction", "id", *CONVERSATIONS}  # one has one of these names
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are no text in the file's encoding


def records(file: Path) -> Iterator[tuple[Any, str] | Rejected]:
    """Each with its place, "file:12" or "file, row 12"; a line that is no JSON is a Rejected.

    Raises:
        HarnessError: when a list cannot be read, or a file in UTF-16.
    """
    if _holds_list(file):
        yield from _list(file)
    elif file.suffix.lower() == ".json" and (whole := _object(file)) is not None:
        yield from _of_object(whole, file)
    else:
        yield from _lines(file)


def _holds_list(file: Path) -> bool:
    with file.open(encoding=encoding_of(file), errors="replace") as opened:
        return opened.read(4096).lstrip().startswith("[")


def _list(file: Path) -> Iterator[tuple[Any, str]]:
    try:
        found = json.loads(read_any(file))
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{file} is not JSON: {error}; mend it, or give one object a line") from error
    yield from ((record, f"{file}, row {number}") for number, record in enumerate(found, start=1))


def _object(file: Path) -> dict[str, Any] | None:
    """A file that is one object, over as many lines as it is; None where it is none."""
    try:
        found = json.loads(read_any(file))
    except (ValueError, RecursionError, HarnessError):
        return None
    return found if isinstance(found, dict) else None


def _of_object(whole: dict[str, Any], file: Path) -> Iterator[tuple[Any, str]]:
    """The rows that it holds under its only list of objects, such as {"data": […]}; else it is one itself."""
    lists = [name for name, value in whole.items() if isinstance(value, list) and value and _are_objects(value)]
    if len(lists) == 1 and not _OF_A_ROW & whole.keys():
        yield from ((record, f"{file}, {lists[0]} {number}") for number, record in enumerate(whole[lists[0]], start=1))
    else:
        yield whole, f"{file}"


def _are_objects(value: list[Any]) -> bool:
    return all(isinstance(each, dict) for each in value)


def _lines(file: Path) -> Iterator[tuple[Any, str] | Rejected]:
    encoding = encoding_of(file)
    # not universal line ends: JSON strings may hold others
    with file.open(encoding=encoding, errors="surrogateescape", newline="\n") as opened:
        try:
            for number, line in enumerate(opened, start=1):
                if line.strip():
                    yield _record(line, f"{file}:{number}", encoding)
        except UnicodeError as error:  # UTF-16 knows no half characters
            raise HarnessError(f"{file} begins as {encoding}, but {error}; save it as UTF-8") from error


def _record(line: str, origin: str, encoding: str) -> tuple[Any, str] | Rejected:
    def unreadable(reason: str) -> Rejected:
        return Rejected.of(line.strip(), origin=origin, kind=Kind.UNREADABLE, reason=reason)

    if broken := _ESCAPED.search(line):
        return unreadable(f"character {broken.start() + 1} is no {encoding.removesuffix('-sig')}")
    try:
        return json.loads(line), origin
    except json.JSONDecodeError as error:
        return unreadable(f"it is no JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return unreadable(f"it is no JSON: {error}")
