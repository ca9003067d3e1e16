"""What belongs to a sweep's name, and what of later versions leaves earlier ones' as they were."""

from pathlib import Path

from harness.config.axes import Space
from harness.config.schema import Config
from harness.multirun.study_key import study_name
from tests.conftest import QUICK, compose_config

JUDGED = (*QUICK, "judge=poetry", "judge.model=m")


def _name(*words: str) -> str:
    config: Config = compose_config(*JUDGED, *words)
    return study_name(config, Space([], []), [])


def test_a_panel_and_what_teaches_it_make_another_sweep(tmp_path: Path) -> None:
    decisions = tmp_path / "d.jsonl"
    decisions.write_text('{"id": "a", "decision": "accept"}\n', "utf-8")
    words = f"judge.decisions={decisions}"
    plain, panel, taught = _name(), _name("judge.panel=[{model: n}]"), _name(words)
    assert len({plain, panel, taught}) == 3
    decisions.write_text('{"id": "a", "decision": "delete"}\n', "utf-8")
    assert _name(words) != taught and _name(words, "judge.teach=false") != _name(words)


def test_what_a_trial_is_not_judged_by_leaves_its_sweep_the_same() -> None:
    """Also what later versions set and earlier ones had not: no panel, no decisions."""
    assert _name() == _name("judge.repeats=0") == _name("judge.panel=[]", "judge.max_calls=7")
