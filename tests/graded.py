"""The shipped poems, and copies of them damaged by known amounts: texts whose order is known to whoever reads them."""

import json
import random

from harness.config.paths import ROOT

# theme and text
SHIPPED = [
    (poem.get("title") or poem["theme"], poem["body"])
    for poem in json.loads((ROOT / "data" / "poems.json").read_text("utf-8"))
]
POEMS = dict(SHIPPED)  # one on each theme
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
