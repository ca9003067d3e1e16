"""builtin:tiny: the same bytes wherever it is built, and a model like any other to stock mlx-lm."""

import json
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
from mlx_lm import generate, load

from harness.config.paths import ROOT
from harness.models import tiny
from harness.models.base import Base


def test_two_processes_build_the_same_bytes(tmp_path: Path) -> None:
    tiny.build(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    code = f"from pathlib import Path; from harness.models import tiny; tiny.build(Path({str(other)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / name).read_bytes() == (other / name).read_bytes()


def test_building_leaves_the_callers_random_state(tmp_path: Path) -> None:
    mx.random.seed(5)
    expected = mx.random.normal((3,)).tolist()
    mx.random.seed(5)
    tiny.build(tmp_path)
    assert mx.random.normal((3,)).tolist() == expected


def test_poems_that_are_added_later_leave_it_as_it_is(tmp_path: Path) -> None:
    shipped = json.loads((ROOT / "data" / "poems.json").read_text("utf-8"))
    for name, poems in (("first", shipped[:126]), ("more", [*shipped, {"title": "龘", "body": "龘龘龘"}])):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.json").write_text(json.dumps(poems), encoding="utf-8")
        tiny.build(tmp_path / name, tmp_path / f"{name}.json")
    assert tiny.recipe() == tiny.recipe(tmp_path / "first.json") == tiny.recipe(tmp_path / "more.json")
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "more" / file).read_bytes()


def test_stock_mlx_lm_loads_it_and_writes(base: Base) -> None:
    model, tokenizer = load(str(base.folder))
    text = generate(model, tokenizer, "<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n", max_tokens=5)
    assert isinstance(text, str)
    assert len(model.layers) == base.num_blocks == 8


def test_its_tokenizer_gives_back_any_text(base: Base) -> None:
    for text in ("河\n\n两岸，", "Ünïcödé 😀", "<|im_start|>user\n灯<|im_end|>"):
        assert base.tokenizer.decode(base.tokenizer.encode(text, special=False).ids) == text
