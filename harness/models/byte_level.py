"""The tokenizer of the models that this project makes: trained on their text, saved as transformers and mlx-lm load it.

Every Chinese character by itself, other text by pieces, whatever is left by bytes. Special tokens and chat template as
Qwen2 has them, but without a system message where none is given. Knows nothing of what the text is.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def learned(texts: Iterable[str], *, vocabulary: int) -> Any:
    """A `tokenizers.Tokenizer` of at most so many tokens; fewer when the texts have no more pairs to merge."""
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
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save(tokenizer: Any, folder: Path) -> None:
    """The files of a model's folder that are the tokenizer's."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
