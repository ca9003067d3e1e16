"""What is told of the rows of each split, in numbers, and what they warn of. Knows no files and no pages."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.config.schema import PrepareCommand
from harness.data.dataset import Row
from harness.preparing.spool import Entry
from harness.tuning.batches import bucket_width, epoch_batches

_BINS = 24
_LONGEST = 5
_ROWS_A_RANK = 4  # fewer rows than this for each of the adapter's ranks are soon learned by heart
_RARE = 0.05
_FEW = 5
_ONE_PROMPT = 0.5
_ONE_GROUP = 0.2
_LOST = 0.05
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of whole numbers. `bins`: how many lie in each of equal steps of `step` from 0 on."""

    total: int
    least: int
    median: int
    p90: int
    p99: int
    most: int
    step: int
    bins: list[int]

    @classmethod
    def of(cls, values: Sequence[int]) -> "Spread":
        array = np.array(values, np.int64)
        median, p90, p99 = (int(each) for each in np.quantile(array, [0.5, 0.9, 0.99], method="nearest"))
        step = max(1, -(-int(array.max() + 1) // _BINS))
        bins = np.bincount(array // step)
        return cls(
            total=int(array.sum()),
            least=int(array.min()),
            median=median,
            p90=p90,
            p99=p99,
            most=int(array.max()),
            step=step,
            bins=[int(count) for count in bins],
        )


@dataclass(frozen=True, kw_only=True)
class SplitFigures:
    """`tokens`, `learned`, `cut`, `lost` (learned tokens beyond a cut), `padding` (a share): None without a tokenizer.

    `updates`: of an epoch. `longest`: origin and length of each.
    """

    rows: int
    groups: int
    labels: dict[str, int]
    characters: Spread | None
    tokens: Spread | None
    learned: int | None
    cut: int | None
    lost: int | None
    padding: float | None
    updates: int
    longest: list[tuple[str, int]]


def figures_of(entries: Sequence[Entry], command: PrepareCommand) -> SplitFigures:
    lengths = [entry.length for entry in entries if entry.length is not None]
    train = command.train
    tokens = [length.tokens for length in lengths]
    longest = sorted(entries, key=lambda entry: -_size(entry))[:_LONGEST]
    return SplitFigures(
        rows=len(entries),
        groups=len({entry.group for entry in entries}),
        labels=dict(sorted(Counter(entry.label for entry in entries if entry.label is not None).items())),
        characters=Spread.of([entry.characters for entry in entries]) if entries else None,
        tokens=Spread.of(tokens) if tokens else None,
        learned=sum(length.learned for length in lengths) if lengths else None,
        cut=sum(count > train.max_seq_length for count in tokens) if tokens else None,
        lost=sum(length.lost for length in lengths) if lengths else None,
        padding=_padding([min(count, train.max_seq_length) for count in tokens], train.batch_size) if tokens else None,
        updates=-(-len(entries) // (train.batch_size * train.grad_accumulation_steps)),
        longest=[(entry.origin, _size(entry)) for entry in longest],
    )


def warnings_of(splits: dict[str, list[Entry]], figures: dict[str, SplitFigures], command: PrepareCommand) -> list[str]:
    """What is likely to make a poor adapter, a line each."""
    entries, train = splits["train"], figures["train"]
    rank, limit = command.lora.rank, command.train.max_seq_length
    every = [entry for chosen in splits.values() for entry in chosen]
    said = []
    if train.rows < _ROWS_A_RANK * rank:
        said.append(f"{train.rows} rows to train on are few for lora.rank={rank}: they are soon learned by heart")
    for label, count in train.labels.items():
        if count < max(_FEW, _RARE * train.rows):
            said.append(f"the label {label} is rare: {count} of {train.rows} rows to train on")
    if entries and train.rows >= 2 * _FEW:
        prompt, count = Counter(entry.prompt for entry in entries).most_common(1)[0]
        if prompt and count > _ONE_PROMPT * train.rows:
            said.append(f"{count} of {train.rows} rows to train on have the same prompt: it will be learned by heart")
    largest = max(Counter(entry.group for entry in every).values())
    if largest > max(_FEW, _ONE_GROUP * len(every)):
        said.append(f"{largest} of {len(every)} rows are one group and so on one side of the split")
    said += _leaks(splits)
    for name, each in figures.items():
        if each.cut and each.lost is not None and each.learned:
            share = each.lost / each.learned
            more = "; raise train.max_seq_length, or say source.too_long=split" if share > _LOST else ""
            said.append(
                f"{each.cut} of {each.rows} rows of {name} are longer than train.max_seq_length={limit}: "
                f"cut there, they lose {share:.1%} of what is to be learned{more}"
            )
    return said


def _leaks(splits: dict[str, list[Entry]]) -> list[str]:
    """Rows to train on that say the same as one that is scored."""
    origins = {entry.words: entry.origin for entry in splits["train"]}
    said = []
    for name in ("valid", "test"):
        shared = [(origins[entry.words], entry.origin) for entry in splits[name] if entry.words in origins]
        if shared:
            named = "; ".join(f"{one} is {other}" for one, other in shared[:_NAMED])
            said.append(
                f"{len(shared)} rows of {name} are in train too ({named}); source.near_duplicates=group parts them"
            )
    return said


def _size(entry: Entry) -> int:
    return entry.characters if entry.length is None else entry.length.tokens


def _padding(tokens: Sequence[int], batch_size: int) -> float:
    """The share of a training epoch's positions that hold no token."""
    rows = [
        Row(np.broadcast_to(np.int32(0), count), np.broadcast_to(np.bool_(False), count), index)
        for index, count in enumerate(tokens)
    ]
    batches = epoch_batches(rows, batch_size, seed=0, epoch=0)
    computed = sum(len(batch) * bucket_width(max(tokens[index] - 1 for index in batch)) for batch in batches)
    return round(1 - sum(count - 1 for count in tokens) / computed, 4)
