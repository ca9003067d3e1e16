"""What ends rounds before they begin; whole ones are in tests/pipeline/test_rounds.py."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.refine import main
from harness.rounds.state import Settings, Step, changed, first_round, read_rounds
from harness.tracking.store import Store


def _refused(folder: Path, store: Store, *words: str) -> str:
    ended = CliRunner().invoke(main, [str(folder), "--tracking-uri", store.uri, *words])
    assert ended.exit_code == 1
    return ended.stderr


def test_a_sweep_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    assert "error: no sweep nowhere is known here" in _refused(tmp_path, store, "--sweep", "nowhere")
    assert read_rounds(tmp_path) is None


def test_rounds_of_one_sweep_are_not_gone_on_with_as_another_s(store: Store, tmp_path: Path) -> None:
    first_round(tmp_path, Settings(), "a" * 32)
    said = _refused(tmp_path, store, "--sweep", "bbb")
    assert f"began with sweep {'a' * 32}, but --sweep=bbb; leave it out" in said


def test_a_damaged_record_of_rounds_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "rounds.json").write_text('{"settings": {"what": 1}, "rounds": []}')
    assert "rounds.json is no record of rounds" in _refused(tmp_path, store)


def test_what_is_given_anew_holds_and_the_rest_stays() -> None:
    before = Settings(write=["n=2"], judge=["judge=poetry"], from_weights=True)
    assert changed(before, {"write": ["n=3"], "judge": None, "from_weights": None}) == Settings(
        write=["n=3"], judge=["judge=poetry"], from_weights=True
    )


@pytest.mark.parametrize("steps", [[], [Step.GENERATE], list(Step)])
def test_how_far_it_came_is_read_again(tmp_path: Path, steps: list[Step]) -> None:
    rounds = first_round(tmp_path, Settings(vary=["lora.rank=8,16"]), "a" * 32)
    for step in steps:
        rounds = rounds.next("b" * 32) if step is Step.TRAIN else rounds.done(step)
    assert read_rounds(tmp_path) == rounds
    assert rounds.rounds[0].done == tuple(steps)
