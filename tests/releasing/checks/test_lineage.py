"""Whether it is known where an adapter comes from."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.schema import Config
from harness.models.base import Base
from harness.releasing.checks.lineage import check_lineage
from harness.releasing.checks.subject import Subject
from harness.tracking import run_folder
from tests.releasing.checks.adapters import ancestry, made, noise


@pytest.fixture
def subject(base: Base, quick_config: Callable[..., Config], tmp_path: Path) -> Subject:
    return made(base, quick_config(), tmp_path / "adapter", noise(0.05))


def test_one_of_a_run_passes(subject: Subject) -> None:
    verdict = check_lineage(subject)
    assert verdict.passed and verdict.figure == 0
    assert "0" * 32 in verdict.said


def test_one_of_no_run_is_refused(subject: Subject) -> None:
    verdict = check_lineage(dataclasses.replace(subject, ancestry=None))
    assert not verdict.passed and verdict.details[0] == "a run of this store"


def test_one_whose_rows_have_no_digest_is_refused(subject: Subject) -> None:
    verdict = check_lineage(dataclasses.replace(subject, ancestry=ancestry({"valid": "0" * 32})))
    assert not verdict.passed and verdict.details == ["the digest of its train split"]


def test_one_without_its_configuration_is_refused(subject: Subject) -> None:
    (subject.adapter.weights.parent / run_folder.CONFIG).unlink()
    verdict = check_lineage(subject)
    assert not verdict.passed and "configuration" in verdict.said
