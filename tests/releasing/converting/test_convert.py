"""Models made in fewer bits: whole or not at all, usable at once, with what the bits cost."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx_lm
import numpy as np
import pytest

from harness.config.schema import ModelConfig
from harness.console.interrupt import Interrupted
from harness.console.progress import Display
from harness.data.dataset import Row
from harness.errors import HarnessError
from harness.models.base import Base, open_base
from harness.models.quantize import Quantization, ways
from harness.releasing.converting.convert import Order, convert
from harness.releasing.converting.figures import Figures, known_of
from harness.tuning.evaluate import RowLosses

Made = Callable[..., Path]

_MIXED = "small-mixed_3_6"


@pytest.fixture(scope="session")
def few(poems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four rows."""
    folder = tmp_path_factory.mktemp("few")
    lines = (poems / "valid.jsonl").read_text("utf-8").splitlines(keepends=True)[:4]
    (folder / "valid.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def made(tmp_path: Path, few: Path) -> Made:
    """Converts the tiny base, and returns the folder for what is not told."""

    def make(*, display: Display | None = None, **wanted: Any) -> Path:
        out = tmp_path / "out"
        usual: dict[str, Any] = {
            "model": "builtin:tiny",
            "revision": None,
            "ways": [],
            "dequantize": False,
            "dtype": None,
            "out": out,
            "data": few,
        }
        convert(Order(**usual | wanted), display or Display(silent=True))
        return out

    return make


def _losses(table: str) -> list[float]:
    return [float(line.split()[4]) for line in table.splitlines() if re.search(r" [MG]B ", line)]


def test_several_bits_are_a_model_each_and_a_table_of_what_they_cost(
    made: Made, base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(ways=ways("2,8", None, group_size=32))
    said = capsys.readouterr().out
    before, two, eight = _losses(said)
    assert abs(eight - before) < abs(two - before)
    assert [line for line in said.splitlines() if line.startswith("use it")] == [
        f"use it: model.path={tmp_path / 'out-2bit-32'}",
        f"use it: model.path={tmp_path / 'out-8bit-32'}",
    ]
    for name in ("out-2bit-32", "out-8bit-32"):
        assert mlx_lm.load(str(tmp_path / name))[0] is not None
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("out-2bit-32", "out-8bit-32")]
    assert (
        sizes[0] < sizes[1] < (open_base(ModelConfig("builtin:tiny", None)).folder / "model.safetensors").stat().st_size
    )


def test_a_converted_model_is_a_base_at_once_and_its_card_says_what_it_cost(made: Made) -> None:
    out = made(ways=[Quantization(bits=4)])
    base = open_base(ModelConfig(path=str(out), revision=None))
    assert base.settings["quantization"]["bits"] == 4 and base.num_blocks == 8
    card = (out / "README.md").read_text("utf-8")
    assert "Made from builtin:tiny (revision" in card and re.search(r"\| out \| 5\.\d+ \| .* ± 0\.\d+ \|", card)
    assert str(out.parent) not in card and "base_model" not in card


def test_the_same_conversion_gives_the_same_base(made: Made, tmp_path: Path) -> None:
    again = tmp_path / "again"
    out = made(ways=[Quantization(bits=8)])
    made(ways=[Quantization(bits=8)], out=again)
    first, second = (open_base(ModelConfig(path=str(folder), revision=None)) for folder in (out, again))
    assert first.revision == second.revision


def test_a_quantized_model_goes_back_to_full_precision_or_to_other_bits(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eight = made(ways=[Quantization(bits=8)])
    capsys.readouterr()
    made(model=str(eight), dequantize=True, out=tmp_path / "full")
    before, full = _losses(capsys.readouterr().out)
    assert full == pytest.approx(before, abs=1e-3)
    assert str(tmp_path) not in (tmp_path / "full" / "README.md").read_text("utf-8")
    made(model=str(eight), dequantize=True, ways=[Quantization(bits=4)], out=tmp_path / "four")
    assert open_base(ModelConfig(path=str(tmp_path / "four"), revision=None)).settings["quantization"]["bits"] == 4


@pytest.mark.slow
def test_without_data_general_texts_that_the_model_knows_are_the_measure(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(model="builtin:small", ways=[Quantization(bits=8, group_size=32)], data=None)
    said = capsys.readouterr().out
    before, eight = _losses(said)
    assert before < 2 and abs(eight - before) < 0.05  # of all texts, code among them, it loses more than 8
    assert "general texts" in said and "hardly better than a guess" not in said


def test_a_model_that_knows_nothing_of_the_data_is_said_to(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made(ways=[Quantization(bits=8)])
    assert "builtin:tiny predicts these rows hardly better than a guess" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"dequantize": True}, "--dequantize is for quantized models, but builtin:tiny is none"),
        ({"dtype": "int8"}, "--dtype must be one of float16, bfloat16, float32, but got int8"),
        ({"ways": [Quantization(group_size=128)]}, r"--group-size=128 does not divide .*; use 32 or 64"),
        ({"ways": [Quantization()], "data": Path("nowhere")}, "nowhere/valid.jsonl"),
        ({"model": "./nowhere"}, r"MODEL=\./nowhere must be builtin:small"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    wanted: dict[str, Any], complaint: str, made: Made, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=complaint):
        made(**wanted)
    assert list(tmp_path.iterdir()) == []


def test_bits_that_are_no_number_are_refused() -> None:
    with pytest.raises(HarnessError, match="--bits must be of 2, 3, 4, 5, 6, 8, commas between, but got 4,x"):
        ways("4,x", None, group_size=64)
    with pytest.raises(HarnessError, match="--bits must be of 2, 3, 4, 5, 6, 8, commas between, but got nothing"):
        ways("", None, group_size=64)
    with pytest.raises(HarnessError, match="--mixed must be of mixed_2_6, .*, commas between, but got nothing"):
        ways(None, " ", group_size=64)


def test_bits_that_are_named_twice_are_one_model() -> None:
    four, mixed = Quantization(bits=4), Quantization(mixed="mixed_3_6")
    assert ways("4, 4,4", "mixed_3_6, mixed_3_6", group_size=64) == [four, mixed]


def test_a_folder_that_is_named_by_where_one_is_gives_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "河 7B" / "in").mkdir(parents=True)
    for here, model in ((tmp_path / "河 7B", "."), (tmp_path / "河 7B" / "in", ".."), (tmp_path, "./河 7B/")):
        monkeypatch.chdir(here)
        order = Order(
            model=model, revision=None, ways=[Quantization()], dequantize=False, dtype=None, out=None, data=None
        )
        assert [str(out) for _, out in order.wanted] == ["河 7B-4bit"]


def test_what_is_there_stays(made: Made, tmp_path: Path) -> None:
    (tmp_path / "out-8bit").mkdir()
    (tmp_path / "out-8bit" / "mine").touch()
    with pytest.raises(HarnessError, match="out-8bit must not be there yet"):
        made(ways=ways("4,8", None, group_size=64))
    assert [file.name for file in tmp_path.rglob("*")] == ["out-8bit", "mine"]


def test_rows_that_a_model_does_not_know_are_left_out_of_its_figures(base: Base) -> None:
    rows = [Row(np.arange(3, dtype=np.int32), np.array([False, True, True]), line) for line in range(3)]
    losses = RowLosses(0, np.array([2, 0, 1]), np.array([2.0, 14.0, 4.0], np.float32), np.array([2, 2, 2]))
    kept, figures = known_of(base, rows, Figures("tiny", 32.0, 1, losses))
    assert figures.losses is not None
    assert figures.losses.lines.tolist() == [2, 1] and [row.line for row in kept] == [1, 2]


class _Interrupting(Display):
    """Ctrl-C once the second is being written."""

    def say(self, text: str) -> None:
        if text.endswith("out-8bit"):
            raise Interrupted("interrupted from the keyboard")


def test_an_interruption_leaves_what_is_whole_and_nothing_else(made: Made, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        made(ways=ways("4,8", None, group_size=64), display=_Interrupting(silent=True))
    assert [file.name for file in tmp_path.iterdir()] == ["out-4bit"]


@pytest.mark.parametrize(
    ("model", "options", "names"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", {"ways": [Quantization()]}, ["Qwen2.5-7B-Instruct-4bit"]),
        ("builtin:small", {"ways": ways("4,8", "mixed_3_6", group_size=64)}, ["small-4bit", "small-8bit", _MIXED]),
        ("my/model/", {"dequantize": True}, ["model-dequantized"]),
        ("my/model", {"dtype": "float16"}, ["model-float16"]),
        ("my/model", {}, ["model-mlx"]),
    ],
)
def test_without_out_folders_are_named_by_model_and_bits(model: str, options: dict[str, Any], names: list[str]) -> None:
    nothing = dict.fromkeys(("revision", "dtype", "out", "data"))
    usual: dict[str, Any] = {**nothing, "ways": [], "dequantize": False}
    order = Order(**usual | {"model": model} | options)
    assert [str(out) for _, out in order.wanted] == names
