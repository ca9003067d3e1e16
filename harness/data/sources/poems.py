"""Raw poems to training lines: JSON lists of objects or of pairs, JSON lines, and folders of text files.

Knows the chat markers only as text: what a model makes of them is its tokenizer's business.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.data.cleaning import clean, read_any
from harness.data.kinds import Kind
from harness.data.sources.files import Wanted
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError

_TEXTS = (".txt", ".md", ".text")
_LINES = (".jsonl", ".ndjson")
_FILES = Wanted(suffixes=(*_TEXTS, ".json", *_LINES), what="a JSON file of poems, or a folder of text files")


@checked_dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`…_fields`: names that an object may have; the first that is there is taken."""

    format: Literal["text", "messages"]
    system: str | None
    theme_fields: list[str]
    body_fields: list[str]
    author_fields: list[str]
    title_of_files: Literal["file", "first_line"]


@dataclass(frozen=True)
class Raw:
    """One poem as it stands somewhere, with the place."""

    record: Any
    origin: str


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """Raises: HarnessError when there is nothing to read, or a file is no JSON."""
    for file in _FILES.files(path, tools.say):
        for raw in _of_file(file, settings):
            yield raw if isinstance(raw, Rejected) else _row(raw, settings)


def to_line(theme: str, body: str, system: str | None, line_format: str) -> dict[str, Any]:
    """The user's turn is the theme alone."""
    messages = [{"role": "user", "content": theme}, {"role": "assistant", "content": body}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    if line_format == "messages":
        return {"messages": messages}
    return {"text": "\n".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>" for m in messages)}


def _of_file(file: Path, settings: Settings) -> Iterator[Raw | Rejected]:
    text = read_any(file)
    if file.suffix.lower() in _TEXTS:
        yield Raw(_of_text(file, text, settings), str(file))
    elif file.suffix.lower() in _LINES:
        lines = enumerate(text.split("\n"), start=1)
        yield from (_of_line(line, f"{file}:{number}") for number, line in lines if line.strip())
    else:
        yield from _listed(_json(text, file), file, settings)


def _of_line(line: str, origin: str) -> Raw | Rejected:
    try:
        return Raw(json.loads(line), origin)
    except (ValueError, RecursionError) as error:
        return Rejected.of(line, origin=origin, kind=Kind.UNREADABLE, reason=f"it is no JSON: {error}")


def _of_text(file: Path, text: str, settings: Settings) -> dict[str, str]:
    theme, body = file.stem, text
    if settings.title_of_files == "first_line":
        theme, _, body = text.strip().partition("\n")
    return {settings.theme_fields[0]: theme, settings.body_fields[0]: body}


def _json(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise HarnessError(f"{file}:{error.lineno} is not JSON: {error.msg}; mend the line") from error
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{file} cannot be read as JSON: {error}; mend the file") from error


def _listed(value: Any, file: Path, settings: Settings) -> Iterator[Raw]:
    if isinstance(value, dict):
        yield from _of_object(value, file, settings)
        return
    if not isinstance(value, list):
        raise HarnessError(f"{file} must hold a JSON list of poems, but it holds a {type(value).__name__}")
    for number, each in enumerate(value, start=1):
        if isinstance(each, list) and each and all(isinstance(pair, list) for pair in each):
            for inner, pair in enumerate(each, start=1):
                yield Raw(pair, f"{file}, poem {number}.{inner}")
        else:
            yield Raw(each, f"{file}, poem {number}")


def _of_object(value: dict[str, Any], file: Path, settings: Settings) -> Iterator[Raw]:
    """One poem; or a list of them under its only name, such as {"poems": […]}; or titles with their bodies."""
    if {*settings.theme_fields} & value.keys() and {*settings.body_fields} & value.keys():
        yield Raw(value, str(file))
    elif len(value) == 1 and isinstance(only := next(iter(value.values())), list):
        yield from _listed(only, file, settings)
    else:
        yield from (Raw([title, body], f"{file}, {title}") for title, body in value.items())


def _row(raw: Raw, settings: Settings) -> Found | Rejected:
    def rejected(kind: Kind, reason: str) -> Rejected:
        return Rejected.of(raw.record, origin=raw.origin, kind=kind, reason=reason)

    if isinstance(raw.record, list):
        if len(raw.record) != 2:
            return rejected(Kind.SHAPE, f"a pair must be [title, body], but it has {len(raw.record)} parts")
        theme, body, author, label = *raw.record, None, None
    elif isinstance(raw.record, dict):
        theme, body = _first(raw.record, settings.theme_fields), _first(raw.record, settings.body_fields)
        author, label = _first(raw.record, settings.author_fields), raw.record.get("label")
        if theme is None or body is None:
            wanted = " or ".join(settings.theme_fields if theme is None else settings.body_fields)
            return rejected(Kind.SHAPE, f"it must have {wanted}; it has {', '.join(raw.record) or 'nothing'}")
    else:
        return rejected(Kind.SHAPE, f"a poem must be an object or a pair, but it is a {type(raw.record).__name__}")
    if isinstance(body, list) and all(isinstance(line, str) for line in body):
        body = "\n".join(body)
    for name, value in (("theme", theme), ("body", body)):
        if not isinstance(value, str):
            return rejected(Kind.TYPE, f"the {name} must be a text, but it is a {type(value).__name__}")
        if not clean(value):
            return rejected(Kind.EMPTY, f"the {name} is empty")
    line = to_line(clean(theme), clean(body), settings.system, settings.format)
    group = None if author is None else f"author {author}"
    return Found(line=line, origin=raw.origin, group=group, label=None if label is None else str(label))


def _first(record: dict[str, Any], names: Sequence[str]) -> Any:
    """The first that is not empty, else the first that is there."""
    there = [record[name] for name in names if record.get(name) is not None]
    return next((value for value in there if value != ""), there[0] if there else None)
