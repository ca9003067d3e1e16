"""Rows are handed out only where they are those that the run had."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.schema import Config, GateConfig
from harness.console.progress import Display
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base
from harness.releasing.checks.agreement import check_agreement
from harness.releasing.checks.completeness import check_completeness
from harness.releasing.checks.extraction import check_extraction
from harness.releasing.checks.lineage import check_lineage
from harness.releasing.checks.subject import NotHereError, Subject
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.ancestry import ancestry_of
from harness.tracking.checkpoints import DIGEST
from harness.tracking.registry import resolve
from harness.tracking.store import Store
from tests.releasing.checks.adapters import made, noise


def test_what_a_run_logged_is_enough_to_check_its_checkpoint(
    store: Store, base: Base, quick_config: Callable[..., Config], gate: GateConfig
) -> None:
    run = train_run(quick_config("name=checked"), Session(store, Display(silent=True)), RunPlace())
    reference = f"runs:/{run.run_id}"
    adapter = read_adapter(resolve(store, reference), reference)
    subject = Subject(base=base, adapter=adapter, ancestry=ancestry_of(store, run.run_id), display=Display(silent=True))
    assert len(subject.valid.rows) == 4 and len(subject.train.rows) > 4
    model = store.client.get_logged_model(adapter.weights.parents[1].name)
    whole = check_completeness(lambda: adapter, lambda found: base, logged=model.tags[DIGEST])
    assert whole.passed, whole.said
    verdicts = [
        check_lineage(subject),
        check_agreement(subject, gate.agreement),
        check_extraction(subject, dataclasses.replace(gate.extraction, rows=3)),
    ]
    assert all(verdict.passed for verdict in verdicts), [verdict.said for verdict in verdicts]


def test_answers_are_marked_also_where_the_run_learned_all_tokens(
    base: Base, quick_config: Callable[..., Config], tmp_path: Path
) -> None:
    subject = made(base, quick_config("train.mask_prompt=false"), tmp_path, noise(0.01))
    whole, answers = subject.valid, subject.answers(subject.valid)
    assert [row.tokens.tolist() for row in answers.rows] == [row.tokens.tolist() for row in whole.rows]
    assert all(0 < answer.targets < row.targets for answer, row in zip(answers.rows, whole.rows, strict=True))


def test_rows_that_are_gone_are_not_handed_out(
    base: Base, quick_config: Callable[..., Config], few: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for file in few.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    subject = made(base, quick_config(f"data.path={folder}"), tmp_path / "adapter", noise(0.01))
    (folder / "train.jsonl").unlink()
    with pytest.raises(NotHereError, match="train split cannot be read: .* is not there"):
        _ = subject.train
    assert subject.valid.rows
