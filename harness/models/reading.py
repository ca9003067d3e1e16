"""A split of a configuration's data, as the tokenizer of its base reads it."""

from pathlib import Path

from harness.config.schema import Config
from harness.data.dataset import Split, load_split
from harness.errors import HarnessError
from harness.models.base import Base


def read_split(config: Config, name: str, base: Base) -> Split:
    """One of train, valid and test.

    Raises:
        HarnessError: for the first line that cannot work.
    """
    split = load_split(
        Path(config.data.path).expanduser(),
        name,
        base.tokenizer,
        labels=config.data.labels,
        max_seq_length=config.train.max_seq_length,
        mask_prompt=config.train.mask_prompt,
        thinking=config.data.thinking,
    )
    check_vocabulary(split, base)
    return split


def check_vocabulary(split: Split, base: Base) -> None:
    """MLX would take whatever lies in memory beyond the embedding.

    Raises:
        HarnessError: naming the first row that it would do so for.
    """
    known = base.vocabulary
    for row in split.rows:
        highest = int(row.tokens.max())
        if highest >= known:
            raise HarnessError(
                f"{split.path}:{row.line}: token {highest} must be below the {known} that {base.path} knows: "
                "its tokenizer and its weights do not belong together; download or convert the model again"
            )
