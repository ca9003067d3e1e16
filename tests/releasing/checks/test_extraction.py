"""What of training rows comes back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from harness.config.schema import Config, GateConfig
from harness.data.dataset import Row, Split
from harness.models.adapter import load_weights
from harness.models.base import Base
from harness.releasing.checks.extraction import check_extraction, halves_of, in_common
from harness.releasing.checks.subject import Subject
from harness.sampling.prompts import variants
from harness.sampling.samples import bare_base
from harness.sampling.write import plan, write
from tests.releasing.checks.adapters import ancestry, made, noise


def test_one_that_memorised_its_rows_is_refused_and_the_worst_are_named(memorising: Subject, gate: GateConfig) -> None:
    verdict = check_extraction(memorising, gate.extraction)
    assert not verdict.passed and not verdict.not_run
    assert verdict.figure is not None and verdict.limit is not None and verdict.figure > verdict.limit
    assert verdict.details and verdict.details[0].startswith("train.jsonl:")
    text = "".join(verdict.details[0].rpartition(": ")[2].split("/")[0].split())
    assert text and text in memorising.train.path.read_text("utf-8")
    assert "earlier checkpoint" in verdict.said


def test_one_that_was_trained_gently_passes(good: Subject, gate: GateConfig) -> None:
    verdict = check_extraction(good, gate.extraction)
    assert verdict.passed, verdict.said
    assert verdict.figure == 0


def test_rows_that_changed_since_are_no_pass(good: Subject, gate: GateConfig) -> None:
    other = dataclasses.replace(good, ancestry=ancestry({"train": "0" * 32, "valid": "0" * 32}))
    verdict = check_extraction(other, gate.extraction)
    assert verdict.not_run and not verdict.passed
    assert "is not what the run was given" in verdict.said


def test_an_adapter_of_no_run_is_no_pass(good: Subject, gate: GateConfig) -> None:
    verdict = check_extraction(dataclasses.replace(good, ancestry=None), gate.extraction)
    assert verdict.not_run and "no digest" in verdict.said


def test_where_every_answer_is_shorter_than_that_one_token_of_it_is_given(
    memorising: Subject, gate: GateConfig
) -> None:
    verdict = check_extraction(memorising, dataclasses.replace(gate.extraction, given=200))
    assert not verdict.passed and "come back from their first token, " in verdict.said


def test_answers_of_a_word_have_nothing_that_could_come_back(
    small: Base, config: Config, gate: GateConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for name in ("train", "valid"):
        turns = [
            [{"role": "user", "content": f"{name} {row}"}, {"role": "assistant", "content": "好"}] for row in range(6)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    own = dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(folder)))
    verdict = check_extraction(made(small, own, tmp_path / "adapter", noise(1e-6)), gate.extraction)
    assert verdict.passed and not verdict.not_run and verdict.figure is None
    assert "too short to be recited" in verdict.said


def test_without_a_limit_it_is_left_out(memorising: Subject, gate: GateConfig) -> None:
    verdict = check_extraction(memorising, dataclasses.replace(gate.extraction, limit=None))
    assert verdict.left_out and verdict.passed and verdict.said == "gate.extraction.limit=null asks for no such check"


def test_too_few_rows_in_its_time_are_no_pass(good: Subject, gate: GateConfig) -> None:
    verdict = check_extraction(good, dataclasses.replace(gate.extraction, minutes=1e-6))
    assert verdict.not_run and not verdict.passed
    assert "raise gate.extraction.minutes" in verdict.said


def test_the_seed_draws_the_rows(memorising: Subject, gate: GateConfig) -> None:
    settings = dataclasses.replace(gate.extraction, rows=2)
    first = check_extraction(memorising, settings)
    assert first == check_extraction(memorising, settings)


@pytest.mark.parametrize(
    ("tokens", "learn", "given", "following"),
    [
        ([7, 7, *range(20, 40), 1], [False] * 2 + [True] * 21, [7, 7, 20, 21, 22], list(range(23, 35))),
        ([7, *range(20, 23), 7, *range(40, 52)], [False] + [True] * 3 + [False] + [True] * 12, None, None),
        ([7, *range(20, 28)], [False] + [True] * 8, "short", None),
    ],
)
def test_a_row_is_parted_within_its_longest_answer(
    gate: GateConfig, tokens: list[int], learn: list[bool], given: object, following: list[int] | None
) -> None:
    settings = dataclasses.replace(gate.extraction, given=3, tokens=12)
    row = Row(np.array(tokens, np.int32), np.array(learn), 1)
    halves = halves_of(row, "train.jsonl:1", trained=True, settings=settings, end_ids={1})
    if given == "short":
        assert halves is None
        return
    assert halves is not None
    assert halves.given == (given or [*tokens[:5], 40, 41, 42])
    assert halves.following == (following or list(range(43, 52)))


def test_what_is_in_common_counts_in_pieces_of_four_tokens() -> None:
    following = list(range(10, 20))
    assert in_common(following, following) == (1.0, 10)
    assert in_common(following, [10, 11, 12, 99, 14, 15, 16]) == (0.0, 0)
    assert in_common(following, [1, *range(10, 15), 2, *range(16, 20)]) == (0.9, 5)


def test_what_the_base_writes_by_itself_is_not_memory(
    small: Base, config: Config, few: Path, gate: GateConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    themes, system = ["河", "灯", "雨"], config.data.system
    greedy = dataclasses.replace(config.generate, temperature=0.0, max_tokens=40)
    planned = plan(
        small.tokenizer,
        bare_base(small.path),
        themes,
        variants(config.prompt, "all")[:1],
        greedy,
        n=1,
        system=system,
        fields={},
    )
    written = list(write(small.model, small.tokenizer, planned, greedy))
    lines = [json.dumps({"text": f"{each.prompt}{each.text}<|im_end|>"}, ensure_ascii=False) for each in written]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "valid.jsonl").write_bytes((few / "valid.jsonl").read_bytes())
    own = dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(folder)))
    verdict = check_extraction(made(small, own, tmp_path / "adapter", noise(1e-6)), gate.extraction)
    assert verdict.passed and verdict.figure == 0, verdict.said
    assert "100% of" in verdict.details[0] and "by the base 100%" in verdict.details[0]


def test_what_comes_back_of_rows_that_it_never_saw_is_taken_off(
    memorising: Subject, few: Path, gate: GateConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for name in ("train", "valid"):  # the adapter is said to know nothing of the second
        (folder / f"{name}.jsonl").write_bytes((few / "train.jsonl").read_bytes())
    recorded = memorising.recorded
    config = dataclasses.replace(recorded, data=dataclasses.replace(recorded.data, path=str(folder)))

    def same(base: Base, config: Config, learned: Split, held_out: Split) -> None:
        load_weights(base.model, memorising.adapter.weights)

    verdict = check_extraction(
        made(memorising.base, config, tmp_path / "adapter", same), dataclasses.replace(gate.extraction, rows=12)
    )
    assert verdict.passed and verdict.figure == 0, verdict.said
    assert "0 of 4 training rows" not in verdict.said


def test_weights_that_are_no_numbers_bring_nothing_back(
    small: Base, config: Config, gate: GateConfig, tmp_path: Path
) -> None:
    settings = dataclasses.replace(gate.extraction, rows=1, tokens=8)
    assert check_extraction(made(small, config, tmp_path, noise(1e30)), settings).figure == 0
