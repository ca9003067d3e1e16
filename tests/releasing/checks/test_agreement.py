"""Whether an adapter is the same fused into its base as beside it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from harness.config.schema import Config, GateConfig, ModelConfig
from harness.models.base import Base, open_base
from harness.releasing.checks.agreement import check_agreement
from harness.releasing.checks.subject import Subject
from tests.releasing.checks.adapters import in_16_bits, made, noise, quantized


def test_one_whose_fused_form_is_the_same_passes(good: Subject, gate: GateConfig) -> None:
    verdict = check_agreement(good, gate.agreement)
    assert verdict.passed, verdict.said
    assert verdict.figure is not None and verdict.figure < 1e-4
    assert "validation rows" in verdict.said and "export" not in verdict.said


class _Doubling(nn.Linear):  # type: ignore[misc]
    """A layer of an architecture's own that does more than to multiply: what is fused does not know of it."""

    def __call__(self, x: mx.array) -> mx.array:
        return 2 * super().__call__(x)


def test_one_whose_fused_form_is_another_is_refused(
    base: Base, quick_config: Callable[..., Config], gate: GateConfig, tmp_path: Path
) -> None:
    own = open_base(ModelConfig(path=base.path, revision=None))
    for block in own.model.layers:
        layer = block.mlp.down_proj
        block.mlp.down_proj = _Doubling(*reversed(layer.weight.shape), bias=False)
        block.mlp.down_proj.weight = layer.weight
    own.model.freeze()
    verdict = check_agreement(made(own, quick_config(), tmp_path, noise(0.05)), gate.agreement)
    assert not verdict.passed and not verdict.not_run
    assert verdict.figure is not None and verdict.limit is not None and verdict.figure > verdict.limit
    assert "do not export it fused" in verdict.said


def test_what_16_bits_round_is_no_disagreement(
    base: Base, quick_config: Callable[..., Config], gate: GateConfig, tmp_path: Path
) -> None:
    narrow = in_16_bits(base, tmp_path / "base")
    verdict = check_agreement(made(narrow, quick_config(), tmp_path / "adapter", noise(0.5)), gate.agreement)
    assert verdict.passed, verdict.said
    assert verdict.figure is not None and verdict.figure > 0


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
