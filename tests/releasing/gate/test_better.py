"""From a gain to a verdict."""

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.releasing.gate.better import LOSS, WINS, better, no_worse, only_said
from harness.releasing.gate.losses import Compared
from harness.statistics.gain import Gain
from tests.releasing.gates import quick_gate

GAIN = Gain(mean=0.3, error=0.1, degrees=1e6, skew=0.0, before=2.0, rows=27)


def _found(**values: Any) -> Compared:
    return Compared(gain=replace(GAIN, **values), on="27 rows")


def test_a_gain_beyond_the_noise_passes_with_the_noise_as_its_limit() -> None:
    verdict = better(_found(), quick_gate(), LOSS, than="the bare base")
    assert verdict.passed and verdict.figure == 0.3 and verdict.limit == pytest.approx(0.2, abs=1e-3)
    assert verdict.said == "better than the bare base by 0.3000 ± 0.1000 nats a token on 27 rows"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("gate.min_sigma=4", r"up to 0.4000 is noise \(gate.min_sigma=4\)"),
        ("gate.min_absolute_change=0.31", "0.3100 are asked for"),
        ("gate.min_relative_change=0.16", "0.3200 are asked for"),
        ("gate.threshold=1.69", "its loss 1.7000 misses gate.threshold=1.69"),
    ],
)
def test_each_thing_that_is_asked_for_can_refuse(words: str, why: str) -> None:
    verdict = better(_found(), quick_gate(words), LOSS, than="it")
    assert not verdict.passed and verdict.check == "comparison"
    assert re.search(why, verdict.said)
    assert better(_found(), quick_gate("gate.threshold=1.71", "gate.min_absolute_change=0.29"), LOSS, than="it").passed


def test_a_win_rate_is_to_be_high() -> None:
    lost = _found(before=0.5)  # of the anchors, and then 0.2
    verdict = better(lost, quick_gate("gate.threshold=0.79"), WINS, than="it")
    assert verdict.passed and verdict.details[0].startswith("win rate 0.5000 → 0.8000")
    assert not better(lost, quick_gate("gate.threshold=0.81"), WINS, than="it").passed


def test_what_does_not_decide_must_not_be_worse_by_more_than_the_noise() -> None:
    slightly, clearly = _found(mean=-0.1), _found(mean=-0.3)
    assert no_worse(slightly, quick_gate(), WINS, than="it").passed
    verdict = no_worse(clearly, quick_gate(), WINS, than="it")
    assert not verdict.passed and "worse than it by 0.3000" in verdict.said
    assert only_said(clearly, quick_gate(), LOSS, than="it").passed


def test_nothing_gained_without_any_noise_is_nothing() -> None:
    assert not better(_found(mean=0.0, error=0.0), quick_gate("gate.min_sigma=0"), LOSS, than="it").passed
