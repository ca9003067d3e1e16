"""Rows to train on that stand in a split that is scored: such a score is too good. Knows rows of tokens alone."""

from collections.abc import Sequence

from harness.data.dataset import Split

_NAMED = 5


def leaks(train: Split, held_out: Split) -> list[tuple[int, int]]:
    """The lines of both, for each row of `held_out` that `train` has too, token by token."""
    lines = {row.tokens.tobytes(): row.line for row in reversed(train.rows)}
    return [(lines[tokens], row.line) for row in held_out.rows if (tokens := row.tokens.tobytes()) in lines]


def leakage_said(train: Split, held_out: Sequence[Split]) -> list[str]:
    """A line for each split that shares rows with `train`."""
    said = []
    for split in held_out:
        shared = leaks(train, split)
        if shared:
            named = ", ".join(f"{line} is {other}" for line, other in shared[:_NAMED])
            more = ", …" if len(shared) > _NAMED else ""
            said.append(
                f"{len(shared)} of {len(split.rows)} rows of {split.path} are lines of {train.path.name} too "
                f"({named}{more}): its score will be too good; harness.prepare keeps such rows on one side"
            )
    return said
