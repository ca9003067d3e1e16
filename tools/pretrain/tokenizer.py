"""The tokenizer, built from the grammar's text and a list of common characters.

Chinese by character, English by pieces, any other text by bytes.

Special tokens and chat template as Qwen2 has them, but without a system message where none is given.
"""

import itertools
from pathlib import Path
from typing import Any

from tools.pretrain.grammar import grammar
from tools.pretrain.lexicon import Language
from tools.pretrain.rows import REQUESTS, SYSTEMS, Row, common_characters, training

VOCABULARY = 6016  # at most; fewer when the text has no more pairs to merge
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_OFTEN = 50  # how often the text of prompts, each theme and common character is counted: so rare ones are tokens too


def build(*, seed: int, rows: int = 30_000, vocabulary: int = VOCABULARY) -> Any:
    """A `tokenizers.Tokenizer` learned from so many of the seed's training rows."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    one_by_one = pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([one_by_one, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    written = (found.text for _, found in itertools.islice(training(seed), rows))
    tokenizer.train_from_iterator(itertools.chain(written, _prompts()), trainer)
    return tokenizer


def _prompts() -> list[str]:
    themes = [theme for language in Language for theme in grammar(language).themes]
    fixed = [text for listed in (*REQUESTS.values(), *SYSTEMS.values()) for text in listed]
    spaced = [f" {theme}" for theme in themes]
    return (themes + spaced + fixed + ["system user assistant"] + common_characters()) * _OFTEN


def save(tokenizer: Any, folder: Path) -> None:
    """As transformers and mlx-lm load it."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)


def prompt(row: Row) -> str:
    """What CHAT_TEMPLATE makes of the row's messages, up to the assistant's turn."""
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in row.messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def encoded(tokenizer: Any, row: Row) -> tuple[list[int], int]:
    """The row's tokens, with the end of its turn, and how many of them are the prompt."""
    start = tokenizer.encode(prompt(row)).ids
    return start + tokenizer.encode(row.text + "<|im_end|>").ids, len(start)
