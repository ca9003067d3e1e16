"""Tokens and masks: exactly the assistant's turns are learned, and nothing else."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from harness.data.dataset import Row, Split, fixed_subset, load_split, to_row
from harness.data.lines import Line
from harness.data.turns import mark_messages, mark_text
from harness.errors import HarnessError
from harness.models.base import Base

TEXT = "<|im_start|>system\n写<|im_end|>\n<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n它走了<|im_end|>"
TURNS = [
    {"role": "user", "content": "一"},
    {"role": "assistant", "content": "山"},
    {"role": "user", "content": "二"},
    {"role": "assistant", "content": "水\n水"},
]


def _line(**values: object) -> Line:
    empty: dict[str, object] = {"path": Path("x.jsonl"), "number": 1, "messages": None, "text": None, "label": None}
    return Line(**{**empty, **values})  # type: ignore[arg-type]


def _learned(base: Base, row: Row) -> str:
    return base.tokenizer.decode(row.tokens[row.learn].tolist())


def test_a_ready_made_text_is_taken_byte_for_byte(base: Base) -> None:
    row = to_row(_line(text=TEXT), base.tokenizer, mask_prompt=True)
    assert base.tokenizer.decode(row.tokens.tolist()) == TEXT


def test_of_a_ready_made_text_the_assistants_turn_is_learned(base: Base) -> None:
    row = to_row(_line(text=TEXT), base.tokenizer, mask_prompt=True)
    assert _learned(base, row) == "它走了<|im_end|>"


def test_every_assistant_turn_is_learned_with_its_end_marker(base: Base) -> None:
    row = to_row(_line(messages=TURNS), base.tokenizer, mask_prompt=True)
    assert _learned(base, row) == "山<|im_end|>水\n水<|im_end|>"


def test_messages_get_the_tokens_of_the_models_own_template(base: Base) -> None:
    row = to_row(_line(messages=TURNS), base.tokenizer, mask_prompt=True)
    assert row.tokens.tolist() == base.tokenizer.mlx_lm.apply_chat_template(TURNS, return_dict=False)


def test_all_tokens_but_the_first_are_learned_when_asked(base: Base) -> None:
    row = to_row(_line(text=TEXT), base.tokenizer, mask_prompt=False)
    assert row.learn.tolist() == [False] + [True] * (len(row.tokens) - 1)


def test_plain_text_is_learned_whole_and_ended_as_mlx_lm_ends_it(base: Base) -> None:
    row = to_row(_line(text="山水"), base.tokenizer, mask_prompt=True)
    assert base.tokenizer.decode(row.tokens.tolist()) == "山水<|im_end|>"
    assert row.learn.tolist() == [False, True, True]


def test_a_turn_without_end_marker_is_learned_with_the_end_that_is_added(base: Base) -> None:
    row = to_row(
        _line(text="<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n走"), base.tokenizer, mask_prompt=True
    )
    assert _learned(base, row) == "走<|im_end|>"


@pytest.mark.parametrize(
    ("text", "learned"),
    [
        ("<|im_start|>user 河<|im_end|> <|im_start|>assistant 走<|im_end|>", [" 走<|im_end|>"]),
        ("<s>[INST] a [/INST] b</s>[INST] c [/INST] d</s>", ["b</s>", "d</s>"]),
        ("<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n", ["b<end_of_turn>"]),
        (
            "<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nb<|eot_id|>",
            ["b<|eot_id|>"],
        ),
        ("### Role:\nr\n\n### Instruction:\ni\n\n### Input:\na\n\n### Response:\nb\n\nc", ["b\n\nc"]),
        ("### Instruction:\na\n\n### Response:\nb\n\n### Instruction:\nc\n\n### Response:\nd", ["b", "d"]),
        ("a heading\n\n### Responses\nb", ["a heading\n\n### Responses\nb"]),
    ],
)
def test_turns_of_the_known_templates_are_located(text: str, learned: list[str]) -> None:
    assert [text[start:end] for start, end in mark_text(text).spans] == learned


def test_a_template_that_drops_earlier_reasoning_still_gives_each_turn() -> None:
    def render(messages: object, add_generation_prompt: bool) -> str:
        assert isinstance(messages, list)
        parts = []
        for index, message in enumerate(messages):
            thought = "<think></think>" if message["role"] == "assistant" and index == len(messages) - 1 else ""
            parts.append(f"[{message['role']}]{thought}{message['content']}<end>")
        return "".join(parts) + ("[assistant]" if add_generation_prompt else "")

    marked = mark_messages(TURNS, render)
    assert [marked.text[start:end] for start, end in marked.spans] == ["山<end>", "<think></think>水\n水<end>"]


def test_a_template_that_loses_a_turn_is_refused() -> None:
    with pytest.raises(HarnessError, match="cannot be located"):
        mark_messages(TURNS, lambda messages, add: "nothing")


def test_a_row_that_its_prompt_fills_is_left_out_and_named(base: Base, tmp_path: Path) -> None:
    long_prompt = TEXT.replace("河", "河" * 100)
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in (TEXT, long_prompt)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    split = load_split(tmp_path, "train", base.tokenizer, labels=None, max_seq_length=40, mask_prompt=True)
    assert (len(split.rows), split.dropped, split.cut) == (1, [2], 1)
    assert any("train.jsonl:2: left out, since the prompt alone fills 40 tokens" in w for w in split.warnings(40))


def test_the_digest_tells_masks_and_tokens_apart(splits: tuple[Split, Split]) -> None:
    split = splits[0]
    row = split.rows[0]
    other_mask = dataclasses.replace(split, rows=[dataclasses.replace(row, learn=~row.learn), *split.rows[1:]])
    other_tokens = dataclasses.replace(split, rows=[dataclasses.replace(row, tokens=row.tokens + 1), *split.rows[1:]])
    assert len({split.digest, other_mask.digest, other_tokens.digest}) == 3
    assert len(split.digest) == 32


def test_weights_are_in_the_digest_where_they_are_not_one(splits: tuple[Split, Split]) -> None:
    split = splits[0]

    def digest(weight: float) -> str:
        first = dataclasses.replace(split.rows[0], weight=weight)
        return dataclasses.replace(split, rows=[first, *split.rows[1:]]).digest

    assert digest(1.0) == split.digest and len({digest(1.0), digest(2.0), digest(0.5)}) == 3


@pytest.mark.parametrize("name", ["train", "valid", "test"])
def test_weights_are_kept_when_a_row_is_cut_and_passed_over_in_scores(base: Base, tmp_path: Path, name: str) -> None:
    line = json.dumps({"text": TEXT, "weight": 2.5}, ensure_ascii=False)
    (tmp_path / f"{name}.jsonl").write_text(f"{line}\n", encoding="utf-8")
    length = len(to_row(_line(text=TEXT), base.tokenizer, mask_prompt=True).tokens)
    split = load_split(tmp_path, name, base.tokenizer, labels=None, max_seq_length=length - 1, mask_prompt=True)
    assert [row.weight for row in split.rows] == [2.5] and split.cut == 1
    said = f"{name}.jsonl: the weights of 1 rows are passed over, in a score all tokens count"
    assert (said in split.warnings(length)) == (name != "train")


def test_the_validation_subset_is_always_the_same(splits: tuple[Split, Split]) -> None:
    first, second = fixed_subset(splits[0], 4), fixed_subset(splits[0], 4)
    assert [row.line for row in first.rows] == [row.line for row in second.rows]
    assert len(first.rows) == 4


def test_a_subset_as_large_as_the_split_is_the_split(splits: tuple[Split, Split]) -> None:
    assert fixed_subset(splits[1], 100) is splits[1]


def test_masks_are_booleans_beside_int32_tokens(splits: tuple[Split, Split]) -> None:
    assert {(row.tokens.dtype, row.learn.dtype) for row in splits[0].rows} == {(np.dtype("int32"), np.dtype("bool"))}
