"""Whether the base's general language is still there."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harness.config.schema import Config, ForgettingGate, GateConfig
from harness.models.base import Base
from harness.releasing.checks.forgetting import check_forgetting
from harness.releasing.checks.general_text import passages, rows_of
from harness.releasing.checks.subject import Subject
from tests.releasing.checks.adapters import made, noise


def _short(gate: GateConfig) -> ForgettingGate:
    return dataclasses.replace(gate.forgetting, tokens=32)


def test_one_that_forgot_is_refused(small: Base, config: Config, gate: GateConfig, tmp_path: Path) -> None:
    verdict = check_forgetting(made(small, config, tmp_path, noise(0.05)), _short(gate))
    assert not verdict.passed and not verdict.not_run
    assert verdict.figure is not None and verdict.figure > gate.forgetting.limit
    assert "earlier checkpoint" in verdict.said and verdict.details


def test_one_that_ends_in_no_numbers_is_refused(small: Base, config: Config, gate: GateConfig, tmp_path: Path) -> None:
    verdict = check_forgetting(made(small, config, tmp_path, noise(1e30)), _short(gate))
    assert not verdict.passed and verdict.figure == float("inf")


def test_one_that_was_trained_gently_passes(good: Subject, gate: GateConfig) -> None:
    verdict = check_forgetting(good, gate.forgetting)
    assert verdict.passed, verdict.said
    assert verdict.figure is not None and abs(verdict.figure) < gate.forgetting.limit


def test_a_base_that_knows_nothing_has_nothing_to_forget(
    base: Base, quick_config: Callable[..., Config], gate: GateConfig, tmp_path: Path
) -> None:
    verdict = check_forgetting(made(base, quick_config(), tmp_path, noise(0.05)), _short(gate))
    assert verdict.passed and verdict.figure is None and "nothing to forget" in verdict.said


def test_the_general_text_is_prose_and_code_and_says_whose_it_is(small: Base) -> None:
    texts = passages()
    kinds = {passage.kind for passage in texts}
    assert {"prose_en", "prose_zh", "prose_european", "code_python", "code_web", "code_systems"} <= kinds
    assert all(passage.text for passage in texts)
    folder = Path(__file__).parents[3] / "harness" / "releasing" / "checks" / "general"
    heads = [file.read_text("utf-8").splitlines()[0] for file in folder.glob("*.txt")]
    assert all("written for this project" in head or "为本项目撰写" in head for head in heads)
    assert 15_000 <= sum(file.stat().st_size for file in folder.glob("*.txt")) <= 30_000
    rows = rows_of(texts, small.tokenizer, 32)
    assert [row.line for row in rows] == list(range(len(texts)))
    assert max(len(row.tokens) for row in rows) == 32 and all(not row.learn[0] for row in rows)
