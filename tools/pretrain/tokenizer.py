"""The tokenizer, built from the grammar's text and a list of common characters.

Chinese by character, English by pieces, any other text by bytes.

How it is trained and saved: harness/models/byte_level.py.
"""

import itertools
from typing import Any

from harness.models import byte_level
from tools.pretrain.grammar import grammar
from tools.pretrain.lexicon import Language
from tools.pretrain.rows import REQUESTS, SYSTEMS, Row, common_characters, training

VOCABULARY = 6016  # at most; fewer when the text has no more pairs to merge
_OFTEN = 50  # how often the text of prompts, each theme and common character is counted: so rare ones are tokens too


def build(*, seed: int, rows: int = 30_000, vocabulary: int = VOCABULARY) -> Any:
    """A `tokenizers.Tokenizer` learned from so many of the seed's training rows."""
    written = (found.text for _, found in itertools.islice(training(seed), rows))
    return byte_level.learned(itertools.chain(written, _prompts()), vocabulary=vocabulary)


def _prompts() -> list[str]:
    themes = [theme for language in Language for theme in grammar(language).themes]
    fixed = [text for listed in (*REQUESTS.values(), *SYSTEMS.values()) for text in listed]
    spaced = [f" {theme}" for theme in themes]
    return (themes + spaced + fixed + ["system user assistant"] + common_characters()) * _OFTEN


def prompt(row: Row) -> str:
    """What CHAT_TEMPLATE makes of the row's messages, up to the assistant's turn."""
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in row.messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def encoded(tokenizer: Any, row: Row) -> tuple[list[int], int]:
    """The row's tokens, with the end of its turn, and how many of them are the prompt."""
    start = tokenizer.encode(prompt(row)).ids
    return start + tokenizer.encode(row.text + "<|im_end|>").ids, len(start)
