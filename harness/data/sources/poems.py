"""Raw poems in a JSON list to training lines: cleaned, deduplicated, split.

Knows the chat markers only as text: what a model makes of them is its tokenizer's business.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import HarnessError
from harness.files import write_text

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Poem:
    theme: str
    body: str


@dataclass(frozen=True)
class Prepared:
    """How many raw poems there were, how many were the same as another, and how many each split got."""

    raw: int
    duplicates: int
    rows: dict[str, int]


def prepare_poems(
    source: Path, out: Path, *, system: str | None, line_format: str, valid: float, test: float, seed: int
) -> Prepared:
    """Write train.jsonl, valid.jsonl and test.jsonl into `out`.

    Raises:
        HarnessError: when the source cannot be read or is too small to be split, or when other files are there.
    """
    raw = read_poems(source)
    unique: dict[tuple[str, str], Poem] = {}
    for poem in raw:
        unique.setdefault((poem.theme, _without_space(poem.body)), poem)
    poems = list(unique.values())
    splits = split(poems, valid=valid, test=test, seed=seed)
    texts = {out / f"{name}.jsonl": _lines(chosen, system, line_format) for name, chosen in splits.items()}
    for path, text in texts.items():
        if path.exists() and path.read_text("utf-8", errors="replace") != text:
            raise HarnessError(f"{path} is there already and would change; choose another source.out, or move it away")
    for path, text in texts.items():
        write_text(path, text)
    return Prepared(len(raw), len(raw) - len(poems), {name: len(chosen) for name, chosen in splits.items()})


def _lines(poems: Sequence[Poem], system: str | None, line_format: str) -> str:
    return "".join(json.dumps(to_line(poem, system, line_format), ensure_ascii=False) + "\n" for poem in poems)


def read_poems(path: Path) -> list[Poem]:
    """A JSON list of objects with title or theme, and body."""
    try:
        records = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise HarnessError(f"source.path={path} is not there; give a JSON file of poems") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path} must be UTF-8, but byte {error.start} is not; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise HarnessError(f"{path}:{error.lineno} is not JSON: {error.msg}; mend the line") from error
    if not isinstance(records, list):
        raise HarnessError(f"{path} must hold a JSON list of poems, but it holds a {type(records).__name__}")
    return [_to_poem(record, f"{path}, poem {number}") for number, record in enumerate(records, start=1)]


def split(poems: Sequence[Poem], *, valid: float, test: float, seed: int) -> dict[str, list[Poem]]:
    """Seeded shares of the poems; each split keeps the order of the source."""
    counts = [round(share * len(poems)) for share in (valid, test)]
    if len(poems) - sum(counts) < 1 or (valid > 0 and counts[0] < 1):
        raise HarnessError(
            f"{len(poems)} poems cannot be split with source.valid={valid:g} and source.test={test:g}; "
            "train and valid need at least one each"
        )
    order = np.random.default_rng(seed).permutation(len(poems))
    held_out = {int(index): "valid" for index in order[: counts[0]]}
    held_out |= {int(index): "test" for index in order[counts[0] : sum(counts)]}
    chosen: dict[str, list[Poem]] = {name: [] for name in SPLITS}
    for index, poem in enumerate(poems):
        chosen[held_out.get(index, "train")].append(poem)
    return chosen


def to_line(poem: Poem, system: str | None, line_format: str) -> dict[str, Any]:
    """The user's turn is the theme alone."""
    messages = [{"role": "user", "content": poem.theme}, {"role": "assistant", "content": poem.body}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    if line_format == "messages":
        return {"messages": messages}
    return {"text": "\n".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>" for m in messages)}


def _to_poem(record: Any, place: str) -> Poem:
    if not isinstance(record, dict):
        raise HarnessError(f"{place} must be an object with title or theme, and body, but it is {record!r:.40}")
    theme, body = record.get("title") or record.get("theme"), record.get("body")
    if not isinstance(theme, str) or not isinstance(body, str) or not theme.strip() or not body.strip():
        raise HarnessError(f"{place} must have title or theme, and body, as texts; it has {', '.join(record)}")
    return Poem(_clean(theme), _clean(body))


def _clean(text: str) -> str:
    """One way to write the same text: NFC, plain line ends, no trailing space, at most one blank line."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _without_space(text: str) -> str:
    return re.sub(r"\s", "", text)
