"""The texts of a review: of a file of samples or of the nested list [[[title, body], …], …], each said once.

Knows the two forms. Does not know their order, nor what was decided.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.reviews import Decided, Piece, Trained, read_review
from harness.data.sources.found import Rejected
from harness.errors import HarnessError
from harness.files import writable


@dataclass(frozen=True, kw_only=True)
class Text:
    """`key`: of id, theme and text, for under an id another text may come to stand; `sample`: that id.

    `group`: which list of a nested one it stood in. `record`: all that the file says of it.
    """

    key: str
    sample: str
    theme: str
    text: str
    group: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Texts:
    """In the file's order. `repeated`: how many say what another on the same theme says, and are left out."""

    texts: list[Text]
    repeated: int


def read_texts(file: Path) -> Texts:
    """All whole ones: a last line that is being written is not one yet.

    Raises:
        HarnessError: when the file has none, or something else in it.
    """
    if file.is_dir():
        raise HarnessError(f"{file} is a folder; name the file of samples in it, such as {file / 'samples.jsonl'}")
    if not file.is_file():
        raise HarnessError(f"{file} is not there; write some samples with harness.generate out={file}")
    try:
        pieces = list(read_review(file))
    except OSError as error:
        raise HarnessError(
            f"{file} cannot be read: {error.strerror or error}; see that it is a file of texts"
        ) from error
    if len(pieces) > 1 and isinstance(pieces[-1], Rejected):
        pieces.pop()
    found = [_text(piece, file) for piece in pieces]
    if not found:
        raise HarnessError(f"{file} has no text; write some samples with harness.generate out={file}")
    return _each_once(found)


def _text(piece: Piece, file: Path) -> Text:
    if isinstance(piece, Rejected):
        raise HarnessError(f"{piece.origin} is no sample of harness.generate and no [title, body]: {piece.reason}")
    if isinstance(piece, Trained):
        raise HarnessError(f"{piece.origin} must be a sample with id, theme and text; it has {', '.join(piece.record)}")
    record = piece.record
    theme, text = record.get("theme"), record.get("text")
    if not isinstance(theme, str) or not isinstance(text, str):
        raise HarnessError(
            f"{file}: theme and text of each sample must be texts, but got {theme!r:.40} and {text!r:.40}"
        )
    listed = isinstance(piece, Decided) and piece.sample is None
    theme, text = writable(theme), writable(text)
    key = key_of(piece.sample or "", theme, text)
    group = piece.origin if listed and isinstance(piece, Decided) else theme
    return Text(key=key, sample=piece.sample or key, theme=theme, text=text, group=group, record=dict(record))


def key_of(sample: str, theme: str, text: str) -> str:
    return hashlib.sha256(json.dumps([sample, theme, text]).encode()).hexdigest()[:16]


def _each_once(found: Iterable[Text]) -> Texts:
    """Without what a samples file marks as a duplicate, and what says the same but for its spaces."""
    found = list(found)
    ids = {each.sample for each in found}
    kept: dict[tuple[str, str], Text] = {}
    for each in found:
        if each.record.get("duplicate_of") not in ids:
            kept.setdefault((each.theme, "".join(each.text.split())), each)
    return Texts(list(kept.values()), len(found) - len(kept))
