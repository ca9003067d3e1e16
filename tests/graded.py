"""The shipped poems, and copies of them damaged by known amounts: texts whose order is known to whoever reads them."""

import json
import random
from pathlib import Path

from harness.config.paths import ROOT


def _read(file: Path) -> list[tuple[str, str]]:
    """Theme and text of each."""
    return [(poem.get("title") or poem["theme"], poem["body"]) for poem in json.loads(file.read_text("utf-8"))]


POEMS = dict(_read(ROOT / "data" / "poems.json"))  # one on each theme
SHIPPED = [poem for file in sorted((ROOT / "data").glob("poems*.json")) for poem in _read(file)]  # in all languages
_CHARACTERS = [each for text in POEMS.values() for each in text if not each.isspace()]


def damaged(text: str, share: float, seed: int) -> str:
    """With this share of its characters replaced by others of the poems; line breaks stay."""
    luck = random.Random(f"{seed}:{share}:{text}")
    return "".join(luck.choice(_CHARACTERS) if not each.isspace() and luck.random() < share else each for each in text)


def shuffled(text: str, seed: int) -> str:
    """The same characters in another order, without line breaks."""
    characters = [each for each in text if not each.isspace()]
    random.Random(f"{seed}:{text}").shuffle(characters)
    return "".join(characters)
