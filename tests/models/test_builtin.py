"""The models that come with the harness: made once, the same weights for the harness and for stock mlx-lm."""

from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm import load

from harness.config.schema import ModelConfig
from harness.models import builtin
from harness.models.base import Base, open_base

THEMES = ["河", "灯", "母亲", "river", "bread", "lamp"]


@pytest.fixture(scope="module")
def small() -> Base:
    return open_base(ModelConfig(path=builtin.SMALL, revision=None))


@pytest.mark.parametrize("name", builtin.NAMES)
def test_it_is_made_once(name: str, tmp_path: Path) -> None:
    first = builtin.folder(name, tmp_path)
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert builtin.folder(name, tmp_path) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_the_small_one_has_the_values_that_are_shipped(small: Base) -> None:
    shipped, made = (mx.load(str(folder / "model.safetensors")) for folder in (builtin.SHIPPED, small.folder))
    assert isinstance(shipped, dict) and isinstance(made, dict)
    assert {name: value.dtype for name, value in made.items()} == dict.fromkeys(shipped, mx.float32)
    assert all(mx.array_equal(value, made[name]) for name, value in shipped.items())
    assert (builtin.SHIPPED / "model.safetensors").stat().st_size < 8_000_000


def test_stock_mlx_lm_loads_what_is_shipped() -> None:
    model, tokenizer = load(str(builtin.SHIPPED))
    assert model.model.embed_tokens.weight.dtype == mx.bfloat16
    assert tokenizer.decode(tokenizer.encode("河很宽。\nThe river is wide.")) == "河很宽。\nThe river is wide."


def test_it_writes_sentences_about_the_theme_and_ends_its_turn(small: Base) -> None:
    from mlx_lm.generate import generate_step

    for theme in THEMES:
        messages = [{"role": "user", "content": theme}]
        prompt = small.tokenizer.mlx_lm.apply_chat_template(messages, add_generation_prompt=True)
        tokens = [int(token) for token, _ in generate_step(mx.array(prompt), small.model, max_tokens=120)]
        end = small.tokenizer.end_id
        assert end in tokens, theme
        text = small.tokenizer.decode(tokens[: tokens.index(end)])
        assert theme in text.lower() and text.endswith(("。", "！", "？", "”", ".")), text
        assert "\n" not in text  # prose: lines are what a tuning adds


def test_tokens_are_counted_as_they_are_encoded(base: Base) -> None:
    for text in (
        "",
        "河水 runs\n\n",
        "<|im_start|>user\n河<|im_end|>",
        "🌊" * 40,
        "half \ud800".encode("utf-8", "replace").decode(),
    ):
        assert base.tokenizer.count(text) == len(base.tokenizer.encode(text, special=False).ids)
