"""A text depends on the weights, the prompt and the seed; its record says where it comes from."""

import dataclasses
import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm import generate

from harness.config.schema import GenerateConfig, ModelConfig, PromptConfig
from harness.data.lines import read_lines
from harness.data.themes import read_themes
from harness.errors import HarnessError
from harness.models.base import Base, open_base
from harness.sampling.prompts import prompt_for, variants
from harness.sampling.samples import Origin, Sample, append_sample, bare_base, marked, read_samples, write_in_order
from harness.sampling.write import plan, write
from tests.conftest import compose_config

SETTINGS = GenerateConfig(prompts=[], max_tokens=12, temperature=0.8, top_p=0.9, seed=4, scale=1.0, batch_size=4)
GREEDY = dataclasses.replace(SETTINGS, temperature=0.0, top_p=1.0)
ORIGIN = bare_base("builtin:tiny")
CHAT = PromptConfig(templates={"base": "{chat}", "newline": "{chat}\n"}, fields={})


def _write(
    base: Base,
    themes: list[str],
    settings: GenerateConfig = SETTINGS,
    *,
    n: int = 1,
    prompt: PromptConfig = CHAT,
    wanted: str = "base",
    origin: Origin = ORIGIN,
) -> list[Sample]:
    ways = variants(prompt, wanted)
    planned = plan(base.tokenizer, origin, themes, ways, settings, n=n, system=None, fields=prompt.fields)
    written = {entry.id: entry for entry in write(base.model, base.tokenizer, planned, settings)}
    return [written[each.id] for each, _ in planned]


def test_a_text_does_not_depend_on_the_texts_before_it(base: Base) -> None:
    alone = _write(base, ["河"])[0]
    after = _write(base, ["灯", "雨", "河"])[2]
    assert (alone.text, alone.seed, alone.id) == (after.text, after.seed, after.id)


def test_the_seed_changes_the_text(base: Base) -> None:
    other = dataclasses.replace(SETTINGS, seed=5)
    assert _write(base, ["河"])[0].text != _write(base, ["河"], other)[0].text


def test_several_on_one_prompt_differ(base: Base) -> None:
    assert len({entry.text for entry in _write(base, ["河"], n=3)}) == 3


def test_greedy_texts_are_those_of_stock_mlx_lm(base: Base) -> None:
    for ours in _write(base, ["河", "灯", "秋天"], GREEDY, wanted="all"):
        assert ours.text == generate(base.model, base.tokenizer.mlx_lm, ours.prompt, max_tokens=12).strip()


def test_writing_leaves_the_callers_random_state(base: Base) -> None:
    mx.random.seed(3)
    expected = mx.random.normal((3,)).tolist()
    mx.random.seed(3)
    _write(base, ["河"])
    assert mx.random.normal((3,)).tolist() == expected


def test_the_prompt_is_the_template_around_the_theme_alone(base: Base) -> None:
    way = variants(CHAT, "base")[0]
    assert prompt_for(base.tokenizer, way, "河", system="写诗", fields={}).text == (
        "<|im_start|>system\n写诗<|im_end|>\n<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_poem_prompts_are_the_bytes_of_the_training_lines(base: Base, poems: Path) -> None:
    config = compose_config("prompt=poems")
    way = variants(config.prompt, "base")[0]
    line = read_lines(poems / "train.jsonl")[0].text
    assert line is not None
    theme = line.split("user\n")[1].split("<|im_end|>")[0]
    prompt = prompt_for(base.tokenizer, way, theme, system=config.data.system, fields={})
    assert line.startswith(prompt.text)
    assert base.tokenizer.encode(line, special=True).ids[: len(prompt.ids(base.tokenizer))] == prompt.ids(
        base.tokenizer
    )


def test_five_variants_have_the_codes_of_the_checkpoint_and_on(base: Base) -> None:
    prompt = compose_config("prompt=poems").prompt
    origin = dataclasses.replace(ORIGIN, adapter="a", iteration=1200)
    written = _write(base, ["河"], prompt=prompt, wanted="all", origin=origin)
    assert [entry.code for entry in written] == [1200, 1201, 1202, 1203, 1204]
    assert len({entry.prompt for entry in written}) == 5
    assert [way.number for way in variants(prompt, "no_close")] == [3]


def test_a_persona_prompt_takes_role_instruction_and_input(base: Base) -> None:
    prompt = compose_config("prompt=persona", "prompt.fields.role=You are Ada.").prompt
    text = prompt_for(base.tokenizer, variants(prompt, "base")[0], "a machine", system=None, fields=prompt.fields).text
    assert text.startswith("### Role:\nYou are Ada.") and "### Input:\na machine\n" in text


def test_a_base_without_a_chat_template_writes_too(base: Base, tmp_path: Path) -> None:
    shutil.copytree(base.folder, tmp_path / "bare", ignore=shutil.ignore_patterns("chat_template*"))
    settings = json.loads((tmp_path / "bare" / "tokenizer_config.json").read_text("utf-8"))
    settings.pop("chat_template", None)
    (tmp_path / "bare" / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    bare = open_base(ModelConfig(path=str(tmp_path / "bare"), revision=None))
    assert not bare.tokenizer.has_template
    (chatted,) = _write(bare, ["a machine"])
    assert chatted.prompt == "a machine\n" and chatted.tokens > 0
    persona = compose_config("prompt=persona").prompt
    assert all(entry.tokens > 0 for entry in _write(bare, ["a machine"], prompt=persona, wanted="all"))


def test_a_place_that_nothing_fills_is_refused(base: Base) -> None:
    way = variants(PromptConfig(templates={"x": "{them}"}, fields={"role": "r"}), "all")[0]
    with pytest.raises(
        HarnessError, match=r"prompt.templates.x has \{them\}, but there is only chat, theme, system, role"
    ):
        prompt_for(base.tokenizer, way, "河", system=None, fields={"role": "r"})


def test_braces_of_a_theme_are_left_alone(base: Base) -> None:
    way = variants(PromptConfig(templates={"x": "{theme} {system}"}, fields={}), "all")[0]
    assert prompt_for(base.tokenizer, way, "{system}", system="s", fields={}).text == "{system} s"


def test_a_sample_says_what_it_was_written_with(base: Base, tmp_path: Path) -> None:
    written = _write(base, ["河"])[0]
    append_sample(tmp_path / "s.jsonl", written)
    append_sample(tmp_path / "s.jsonl", written)
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 2
    assert lines[0]["theme"] == "河" and lines[0]["temperature"] == 0.8 and lines[0]["tokens"] <= 12
    assert lines[0]["finish_reason"] in ("stop", "length") and lines[0]["seconds"] > 0
    assert read_samples(tmp_path / "s.jsonl") == [written, written]


def test_a_line_that_is_no_sample_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"theme": "河"}\n', encoding="utf-8")
    with pytest.raises(HarnessError, match=r"s.jsonl:1 is no sample"):
        read_samples(tmp_path / "s.jsonl")
    (tmp_path / "s.jsonl").write_text("my notes\nwithout an end", encoding="utf-8")
    with pytest.raises(HarnessError, match=r"s.jsonl:1 is no sample"):
        read_samples(tmp_path / "s.jsonl")
    assert (tmp_path / "s.jsonl").read_text("utf-8") == "my notes\nwithout an end"


def test_a_last_line_counts_when_it_is_whole_and_not_when_it_is_half(base: Base, tmp_path: Path) -> None:
    (written,) = _write(base, ["河"])
    line = json.dumps(written.to_json())
    (tmp_path / "s.jsonl").write_text(f"{line}\n\n{line}", encoding="utf-8")
    assert read_samples(tmp_path / "s.jsonl") == [written, written]
    (tmp_path / "s.jsonl").write_text(f"{line}\n{line[:40]}", encoding="utf-8")
    assert read_samples(tmp_path / "s.jsonl") == [written]


def test_a_half_line_is_none_wherever_it_was_cut(base: Base, tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    (written,) = _write(base, ["河"])
    for _ in range(2):
        append_sample(file, written)
    whole = file.read_bytes()
    first = whole.index(b"\n") + 1
    inside = whole.rindex("河".encode()) + 1  # of the theme's three bytes
    for end, there in ((inside, 1), (inside + 1, 1), (inside - first, 0), (len(whole) - 3, 1), (40, 0)):
        file.write_bytes(whole[:end])
        assert read_samples(file) == [written] * there, end
        append_sample(file, written)
        assert read_samples(file) == [written] * (there + 1), end


def test_exact_and_near_duplicates_on_a_theme_are_marked(base: Base, tmp_path: Path) -> None:
    first = _write(base, ["河"])[0]
    text = "它把两岸背了一辈子，从不说沉，只在夜里翻一个身"
    entries = [
        dataclasses.replace(first, text=text),
        dataclasses.replace(first, text=text + "\n", seed=1),
        dataclasses.replace(first, text=text.replace("夜里", "梦里"), seed=2),
        dataclasses.replace(first, text="整个下午天空在拆一封长信", seed=3),
        dataclasses.replace(first, text=text, theme="灯", seed=4),
    ]
    write_in_order(tmp_path / "s.jsonl", marked(entries))
    found = read_samples(tmp_path / "s.jsonl")
    assert [entry.duplicate_of for entry in found] == [None, found[0].id, found[0].id, None, None]
    assert found[1].likeness == 1 and 0.9 <= (found[2].likeness or 0) < 1


def test_themes_are_read_one_a_line_each_once(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("河\n\n 山 \n河\n", encoding="utf-8")
    assert read_themes(tmp_path / "words.txt") == ["河", "山"]


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"\n \n", "has no theme"), ("河".encode("gb18030"), "must be a UTF-8")]
)
def test_a_bad_themes_file_is_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(HarnessError) as caught:
        read_themes(tmp_path / "words.txt")
    assert complaint in str(caught.value)
