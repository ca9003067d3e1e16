"""A study's journal: what Optuna asks of a storage, and damage named by file and line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from harness.sweeping.journal_file import DamagedStudyError, keep_intact_part, open_journal
from harness.sweeping.trial import Trial, TrialEnd
from tests.sweeping.small import RANK, make_study


class TestOptunasOwn(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> BaseStorage:
        return open_journal(tmp_path / "s.journal")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Of a study of two trials that are done."""
    make_study(tmp_path, RANK).run(lambda trial: TrialEnd(float(trial.number)))
    return tmp_path / "s.journal"


def _nul(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b"op", b"\0p")


def _garbage(lines: list[bytes]) -> None:
    lines[4] = b"\xff\xfe garbage"


def _garbage_at_the_end(lines: list[bytes]) -> None:
    lines[-1] = b"garbage"


def _unknown(lines: list[bytes]) -> None:
    lines[4] = json.dumps({"op_code": 77, "worker_id": "x"}).encode()


def _flipped(lines: list[bytes]) -> None:
    (at,) = [number for number, line in enumerate(lines) if b'"values":[1.0]' in line]
    lines[at] = lines[at].replace(b"[1.0]", b"[0.0]")


def _lost(lines: list[bytes]) -> None:
    del lines[0]


@pytest.mark.parametrize("damage", [_nul, _garbage, _garbage_at_the_end, _unknown, _flipped, _lost])
def test_damage_is_named_by_file_and_line_and_what_is_before_it_is_kept(
    damage: Callable[[list[bytes]], None], journal: Path
) -> None:
    before = journal.read_bytes()
    lines = before.splitlines()
    damage(lines)
    damaged = b"".join(line + b"\n" for line in lines)
    journal.write_bytes(damaged)
    with pytest.raises(DamagedStudyError) as told:
        make_study(journal.parent, RANK)
    assert f"{journal} is damaged in line {told.value.line} (it " in str(told.value)
    assert "python -m harness.sweep repair s " in str(told.value)
    aside = keep_intact_part(journal)
    assert aside is not None and aside.read_bytes() == damaged
    assert before.startswith(journal.read_bytes()) and keep_intact_part(journal) is None
    assert [result.value for result in make_study(journal.parent, RANK).results()] in ([], [0.0], [0.0, 1.0])


def test_damage_while_a_trial_is_under_way_is_said_once_it_is_at_its_end(tmp_path: Path) -> None:
    """So that its run is whole, for the study to be put right from."""
    ended = []

    def objective(trial: Trial) -> TrialEnd:
        with (tmp_path / "s.journal").open("ab") as journal:
            journal.write(b"\0 garbage\n")
        ended.append(trial.report(1, 2.0))
        return TrialEnd(1.0)

    with pytest.raises(DamagedStudyError):
        make_study(tmp_path, RANK).run(objective)
    assert ended == [False]


def test_a_journal_from_before_checksums_is_gone_on_with(journal: Path) -> None:
    plain = [line.rpartition(',"crc":')[0] + "}\n" for line in journal.read_text().splitlines()]
    journal.write_text("".join(plain))
    assert [result.value for result in make_study(journal.parent, RANK).results()] == [0, 1]
