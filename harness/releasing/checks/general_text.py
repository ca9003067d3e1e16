"""The general text that is shipped: prose and code in many languages, all of it written for this project.

Each file of general/ begins with a line that says so; passages are parted by lines of ----. Knows nothing of models.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.dataset import Row
from harness.models.tokenizer import Tokenizer

_FOLDER = Path(__file__).parent / "general"
_PARTED = "\n----\n"
_KNOWN = 0.5  # of the loss of a guess among all tokens: what costs less is known


@dataclass(frozen=True)
class Passage:
    """`kind`: the name of its file, such as prose_en."""

    kind: str
    text: str


def passages() -> list[Passage]:
    """All of them, files by name."""
    found = []
    for file in sorted(_FOLDER.glob("*.txt")):
        _, *texts = file.read_text("utf-8").split(_PARTED)
        found += [Passage(file.stem, text.strip()) for text in texts]
    return found


def rows_of(texts: Sequence[Passage], tokenizer: Tokenizer, tokens: int) -> list[Row]:
    """A row for each, cut to so many tokens, every one a target but the first; `line` is its place, from 0."""
    rows = []
    for place, passage in enumerate(texts):
        ids = np.array(tokenizer.encode(passage.text, special=True).ids[:tokens], np.int32)
        learn = np.ones(len(ids), np.bool_)
        learn[0] = False
        rows.append(Row(ids, learn, place))
    return rows


def is_known(loss: float, vocabulary: int) -> bool:
    """Whether a model that loses so many nats a token on a text knows such texts: else a change there tells nothing."""
    return loss < _KNOWN * math.log(vocabulary)
