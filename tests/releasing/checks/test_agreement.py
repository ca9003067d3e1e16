"""Whether an adapter is the same fused into its base as beside it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harness.config.schema import Config, GateConfig
from harness.models.base import Base
from harness.releasing.checks.agreement import check_agreement
from harness.releasing.checks.subject import Subject
from tests.releasing.checks.adapters import in_16_bits, made, noise, quantized


def test_one_whose_fused_form_is_the_same_passes(good: Subject, gate: GateConfig) -> None:
    verdict = check_agreement(good, gate.agreement)
    assert verdict.passed, verdict.said
    assert verdict.figure is not None and verdict.figure < 1e-4
    assert "validation rows" in verdict.said and "export" not in verdict.said


def test_one_too_large_for_16_bits_is_refused(
    base: Base, quick_config: Callable[..., Config], gate: GateConfig, tmp_path: Path
) -> None:
    narrow = in_16_bits(base, tmp_path / "base")
    verdict = check_agreement(made(narrow, quick_config(), tmp_path / "adapter", noise(30.0)), gate.agreement)
    assert not verdict.passed and not verdict.not_run
    assert verdict.figure is not None and verdict.figure > gate.agreement.limit
    assert "do not export it fused" in verdict.said


def test_what_4_bits_take_from_it_is_said_and_refuses_nothing(
    base: Base, quick_config: Callable[..., Config], gate: GateConfig, tmp_path: Path
) -> None:
    coarse = quantized(base, tmp_path / "base")
    verdict = check_agreement(made(coarse, quick_config(), tmp_path / "adapter", noise(0.002)), gate.agreement)
    assert verdict.passed, verdict.said
    assert "of its effect: export it with more bits" in verdict.said
    assert len(verdict.details) == 2


def test_without_validation_rows_general_text_shows_it(good: Subject, gate: GateConfig) -> None:
    verdict = check_agreement(dataclasses.replace(good, ancestry=None), gate.agreement)
    assert verdict.passed and "general texts" in verdict.said
