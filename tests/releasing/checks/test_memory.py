"""Whether its texts repeat what it was trained on."""

import dataclasses

from harness.config.schema import GateConfig
from harness.data.authored import authored
from harness.data.lines import read_lines
from harness.releasing.checks.memory import check_memory, texts_of
from harness.releasing.checks.subject import Subject


def test_one_that_memorised_its_rows_is_refused_and_its_worst_texts_are_named(
    memorising: Subject, gate: GateConfig
) -> None:
    verdict = check_memory(memorising, gate.memory)
    assert not verdict.passed and not verdict.not_run
    assert verdict.figure is not None and verdict.limit is not None and verdict.figure > verdict.limit
    assert verdict.details and "stands in training texts" in verdict.details[0]


def test_one_that_was_trained_gently_passes(good: Subject, gate: GateConfig) -> None:
    verdict = check_memory(good, gate.memory)
    assert verdict.passed, verdict.said


def test_texts_that_are_there_already_are_taken(good: Subject, gate: GateConfig) -> None:
    texts = texts_of(good, 2)
    assert [sample.theme for sample in texts] == ["河", "灯"]
    copied = [dataclasses.replace(sample, text=authored(read_lines(good.train.path))[0]) for sample in texts]
    verdict = check_memory(good, gate.memory, copied)
    assert not verdict.passed and verdict.figure == 1.0


def test_an_adapter_of_no_run_is_no_pass(good: Subject, gate: GateConfig) -> None:
    verdict = check_memory(dataclasses.replace(good, ancestry=None), gate.memory)
    assert verdict.not_run and not verdict.passed
