"""A text depends on the weights, the prompt and the seed; its record says where it comes from."""

import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm import generate

from harness.config.schema import GenerateConfig
from harness.data.themes import read_themes
from harness.errors import HarnessError
from harness.models.base import Base
from harness.sampling.prompts import themed_prompt
from harness.sampling.samples import Origin, Sample, append_sample, sample

SETTINGS = GenerateConfig(prompts=[], max_tokens=12, temperature=0.8, top_p=0.9, seed=4, scale=1.0)
GREEDY = GenerateConfig(prompts=[], max_tokens=12, temperature=0.0, top_p=1.0, seed=4, scale=1.0)
ORIGIN = Origin("builtin:tiny", None, None, None)


def _write(base: Base, themes: list[str], settings: GenerateConfig = SETTINGS) -> list[Sample]:
    return list(sample(base.model, base.tokenizer, themes, settings, system=None, origin=ORIGIN))


def test_a_text_does_not_depend_on_the_texts_before_it(base: Base) -> None:
    alone = _write(base, ["河"])[0]
    after = _write(base, ["灯", "雨", "河"])[2]
    assert (alone.text, alone.seed) == (after.text, after.seed)


def test_the_seed_changes_the_text(base: Base) -> None:
    other = GenerateConfig(prompts=[], max_tokens=12, temperature=0.8, top_p=0.9, seed=5, scale=1.0)
    assert _write(base, ["河"])[0].text != _write(base, ["河"], other)[0].text


def test_greedy_texts_are_those_of_stock_mlx_lm(base: Base) -> None:
    ours = _write(base, ["河"], GREEDY)[0]
    stock = generate(base.model, base.tokenizer.mlx_lm, ours.prompt, max_tokens=12)
    assert ours.text == stock.strip()


def test_writing_leaves_the_callers_random_state(base: Base) -> None:
    mx.random.seed(3)
    expected = mx.random.normal((3,)).tolist()
    mx.random.seed(3)
    _write(base, ["河"])
    assert mx.random.normal((3,)).tolist() == expected


def test_the_prompt_is_the_template_around_the_theme_alone(base: Base) -> None:
    assert themed_prompt(base.tokenizer, "河", "写诗") == (
        "<|im_start|>system\n写诗<|im_end|>\n<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_sample_says_what_it_was_written_with(base: Base, tmp_path: Path) -> None:
    written = _write(base, ["河"])[0]
    append_sample(tmp_path / "s.jsonl", written)
    append_sample(tmp_path / "s.jsonl", written)
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 2
    assert lines[0]["theme"] == "河" and lines[0]["temperature"] == 0.8 and lines[0]["tokens"] <= 12
    assert lines[0]["finish_reason"] in ("stop", "length")


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
