"""The author's texts are found whatever turns a line is written in."""

import json
from pathlib import Path

import pytest

from harness.data.authored import authored, by_theme
from harness.data.lines import read_lines

SYSTEM = "写一首现代诗\n\n要简洁"
FORMATS = {
    "chatml": "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{theme}<|im_end|>\n"
    "<|im_start|>assistant\n{text}<|im_end|>\n",
    "llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{theme}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{text}<|eot_id|><|end_of_text|>",
    "gemma": "<bos><start_of_turn>user\n{system}\n\n{theme}<end_of_turn>\n<start_of_turn>model\n{text}<end_of_turn>\n",
    "mistral": "<s>[INST] {system}\n\n{theme} [/INST] {text}</s>",
    "llama 2": "<s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{theme} [/INST] {text} </s>",
    "gemma without a system prompt": "<start_of_turn>user\n{theme}<end_of_turn>\n"
    "<start_of_turn>model\n{text}<end_of_turn>",
    "mistral without a system prompt": "[INST] {theme} [/INST]{text}</s>",
    "headings": "### Role:\n{system}\n\n### Instruction:\n{system}\n\n### Input:\n{theme}\n\n### Response:\n{text}",
    "headings without an input": "### Instruction:\n{theme}\n\n### Response:\n{text}</s>",
}
POEMS = {"河": "它把两岸\n背了一辈子\n\n从不说沉", "灯": "一盏\n\n还亮着", "夜里": "翻一个身"}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("system", [SYSTEM, None])
def test_texts_and_their_themes_are_found_in_every_format_of_turns(
    name: str, system: str | None, tmp_path: Path
) -> None:
    """`system`: as data.system says it, or unsaid."""
    lines = [FORMATS[name].format(system=SYSTEM, theme=theme, text=text) for theme, text in POEMS.items()]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
    read = read_lines(tmp_path / "t.jsonl")
    assert authored(read) == list(POEMS.values())
    found = by_theme(read, system=system)
    assert {theme: found.get(theme) for theme in POEMS} == POEMS


def test_a_text_without_turns_has_an_author_and_no_theme(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "just prose"}\n', encoding="utf-8")
    read = read_lines(tmp_path / "t.jsonl")
    assert authored(read) == ["just prose"] and by_theme(read) == {}
