"""What challenger and champion lose on the same rows, measured anew, with what luck there was in the choice taken out.

Of the challenger's data the test split, which chose nothing; without one, halves of the validation rows: what each half
would have chosen is scored on the other. Knows nothing of limits.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.config.objective import TEST_LOSS
from harness.config.schema import ModelConfig
from harness.data.dataset import Row, Split
from harness.errors import HarnessError
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base, open_base
from harness.models.reading import read_split
from harness.releasing.checks.subject import NotHereError, Subject, batch_size
from harness.releasing.gate.contenders import Challenger, Champion
from harness.releasing.measured import losses_by_row
from harness.statistics.gain import LEAST_ROWS, Gain, gain_of_chosen, paired_gain
from harness.tracking.store import Store
from harness.tracking.valid_rows import ValidRows, valid_rows_of

Array = NDArray[np.float64]
_PASSAGE = 16  # tokens
Tell = Callable[[int, int], None]  # how many batches of how many are done


@dataclass(frozen=True, kw_only=True)
class Compared:
    """`on`: which rows, or themes, in words."""

    gain: Gain
    on: str


def compare_losses(store: Store, challenger: Challenger, champion: Champion, subject: Subject) -> Compared:
    """Both on the challenger's data; nats a learned token.

    Raises:
        HarnessError: for rows that are not here, too few of them, or a champion that cannot be loaded.
    """
    split, fresh = _rows(challenger, subject)
    answers = _answers(split.rows)
    count = len(set(answers))
    if count < LEAST_ROWS:
        raise NotHereError(f"{split.path} has {count} different rows, but {LEAST_ROWS} must be there to tell anything")
    ours, theirs = _measured(store, champion, subject, split)
    targets = _summed(answers, [row.targets for row in split.rows])
    before, after = _summed(answers, theirs), _summed(answers, ours)
    where = f"{count} rows of {split.path.name}"
    if fresh:
        return Compared(gain=paired_gain(before, after, targets), on=f"the {where}, which chose nothing")
    others = [_summed(answers, sums) for sums in _recorded(store, challenger, split)]
    if not others:
        return Compared(gain=paired_gain(before, after, targets), on=f"the {where}")
    gain = gain_of_chosen(before, np.stack([after, *others]), targets)
    return Compared(gain=gain, on=f"those of the {where} that did not choose it among {len(others) + 1} checkpoints")


def _rows(challenger: Challenger, subject: Subject) -> tuple[Split, bool]:
    """And whether they had no part in the choice."""
    config = subject.recorded
    test = Path(config.data.path).expanduser() / "test.jsonl"
    if challenger.by.name != TEST_LOSS and test.exists():
        split = _unseen(read_split(config, "test", subject.base), subject)
        if len(set(_answers(split.rows))) >= LEAST_ROWS:
            return split, True
    return subject.valid, False


def _unseen(split: Split, subject: Subject) -> Split:
    """Without rows that are also trained on, or that chose: somebody may have copied them there."""
    seen = {row.tokens.tobytes() for row in (*subject.train.rows, *subject.valid.rows)}
    return replace(split, rows=[row for row in split.rows if row.tokens.tobytes() not in seen])


def _answers(rows: Sequence[Row]) -> list[int]:
    """A number for each row, the same for those that teach one passage: or else what is said thrice counts thrice."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(_passage(row), len(numbers)) for row in rows]


def _passage(row: Row) -> object:
    """What tells its answer from others; a short one, such as yes, may well be given to different questions."""
    return row.tokens[row.learn].tobytes() if row.targets >= _PASSAGE else row.line


def _summed(answers: Sequence[int], values: ArrayLike) -> Array:
    """[row] → [answer]."""
    return np.bincount(answers, weights=np.asarray(values, np.float64)).astype(np.float64)


def _measured(store: Store, champion: Champion, subject: Subject, split: Split) -> tuple[Array, Array]:
    """The challenger's losses and the champion's, in nats by row of the split."""
    present = champion.files(store)
    on = f"the losses of the challenger and of {champion.said} on {len(split.rows)} rows of {split.path.name}"
    with subject.display.computing(on) as tell:

        def first(done: int, total: int) -> None:
            tell(done, 2 * total)

        def then(done: int, total: int) -> None:
            tell(total + done, 2 * total)

        with loaded(subject.base.model, subject.adapter):
            ours = _losses(subject.base, split.rows, first)
        if present is None:
            return ours, _losses(subject.base, split.rows, then)
        if _is_on(subject.base, present):
            with loaded(subject.base.model, present):
                return ours, _losses(subject.base, split.rows, then)
        return ours, _on_its_own_base(present, subject, split, then)


def _losses(base: Base, rows: Sequence[Row], tell: Tell) -> Array:
    found = losses_by_row(base, rows, batch_size(rows), tell)
    by_line = dict(zip(found.lines.tolist(), found.sums.tolist(), strict=True))
    return np.array([by_line[row.line] for row in rows], np.float64)


def _is_on(base: Base, adapter: AdapterFiles) -> bool:
    """Whether the base is the adapter's, as far as the adapter says."""
    said = adapter.spec.base_revision
    return said in (base.revision, base.former_revision) or (said is None and adapter.spec.base in (None, base.path))


def _on_its_own_base(adapter: AdapterFiles, subject: Subject, split: Split, tell: Tell) -> Array:
    """The same lines, as its own tokenizer reads them: nats by row are those of one text."""
    subject.base.let_go()
    base = open_base(
        ModelConfig(path=adapter.spec.base, revision=None, template_args=adapter.spec.template_args or None),
        subject.display,
        setting=f"the base of {adapter.source}",
    )
    rows = {row.line: row for row in read_split(subject.recorded, split.name, base).rows}
    missing = [row.line for row in split.rows if row.line not in rows]
    if missing:
        raise HarnessError(f"{split.path}:{missing[0]} is left out on {base.path}; compare on data that both can read")
    with ExitStack() as after:
        after.callback(base.let_go)
        with loaded(base.model, adapter):
            return _losses(base, [rows[row.line] for row in split.rows], tell)


def _recorded(store: Store, challenger: Challenger, split: Split) -> list[Array]:
    """What each other checkpoint that it was chosen among lost on these rows when that was scored.

    Raises:
        NotHereError: where that is not known of every run.
    """
    wanted: dict[str, set[int]] = {}
    for point in challenger.among:
        if point.model_id != challenger.checkpoint.model_id:
            wanted.setdefault(point.run_id, set()).add(point.step)
    found: list[Array] = []
    for run_id, steps in wanted.items():
        rows = valid_rows_of(store, run_id)
        if rows is None or rows.digest != split.digest or not steps <= set(rows.steps.tolist()):
            raise NotHereError(
                f"it is the best of {len(challenger.among)} on {split.path.name}, but what run {run_id} lost by row, "
                "which tells luck from gain, is not known; keep a test.jsonl beside it, which chooses nothing"
            )
        found += _in_order(rows, steps, split.rows)
    return found


def _in_order(kept: ValidRows, steps: set[int], rows: Sequence[Row]) -> list[Array]:
    place = {line: index for index, line in enumerate(kept.lines.tolist())}
    order = [place[row.line] for row in rows]
    return [sums[order].astype(np.float64) for step, sums in zip(kept.steps, kept.sums, strict=True) if step in steps]
