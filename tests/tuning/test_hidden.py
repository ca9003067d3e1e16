"""What the frozen blocks make of rows: computed once, gone on with, and computed anew where its file is damaged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.dataset import Split
from harness.models.base import Base
from harness.tuning.hidden import HiddenRows, compute_hidden


def _compute(base: Base, split: Split, folder: Path, at: int, through: list[int] | None = None) -> HiddenRows:
    """`through` gets the blocks that rows are taken through."""
    blocks = list[int]() if through is None else through
    return compute_hidden(base.model, at, split.rows, folder, release=blocks.append)


def test_a_deeper_cut_begins_with_a_shallower_one_and_keeps_it(
    base: Base, splits: tuple[Split, Split], tmp_path: Path
) -> None:
    whole = _compute(base, splits[1], tmp_path / "whole", 5)
    _compute(base, splits[1], tmp_path / "steps", 3)
    through = list[int]()
    deeper = _compute(base, splits[1], tmp_path / "steps", 5, through)
    assert through == [3, 4]
    assert (deeper.bits == whole.bits).all()
    names = sorted(path.name for path in (tmp_path / "steps").glob("cut-*"))
    assert names == ["cut-0003.bin", "cut-0003.json", "cut-0005.bin", "cut-0005.json"]


def test_an_interrupted_computation_goes_on_where_it_was(
    base: Base, splits: tuple[Split, Split], tmp_path: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 0.6 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_hidden(base.model, 5, splits[1].rows, tmp_path / "cut", on_batch=interrupt)
    through = list[int]()
    gone_on = _compute(base, splits[1], tmp_path / "cut", 5, through)
    assert through == [3, 4]
    assert (gone_on.bits == _compute(base, splits[1], tmp_path / "whole", 5).bits).all()


@pytest.mark.parametrize("damage", ["bit", "cut", "index", "rows"])
def test_a_damaged_file_is_noticed_and_computed_anew(
    damage: str, base: Base, splits: tuple[Split, Split], tmp_path: Path
) -> None:
    good = _compute(base, splits[1], tmp_path, 2).bits.copy()
    file = tmp_path / ("cut-0002.json" if damage in ("index", "rows") else "cut-0002.bin")
    content = bytearray(file.read_bytes())
    if damage == "bit":
        content[1234] ^= 1
    elif damage == "rows":
        index = json.loads(content)
        content = bytearray(json.dumps(index | {"checksums": index["checksums"][1:]}).encode())
    else:
        del content[len(content) // 2 :]
    file.write_bytes(content)
    through = list[int]()
    assert (_compute(base, splits[1], tmp_path, 2, through).bits == good).all()
    assert through == [0, 1]


def test_two_processes_do_not_compute_the_same_twice(poems: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import harness.models
from harness.config.schema import ModelConfig
from harness.data.dataset import load_split
from harness.models.base import open_base
from harness.tuning.hidden import compute_hidden
base = open_base(ModelConfig(path="builtin:tiny", revision=None))
split = load_split(Path(sys.argv[1]), "train", base.tokenizer, labels=None, max_seq_length=96, mask_prompt=True)
compute_hidden(base.model, 4, split.rows[:8], Path(sys.argv[2]), release=print)
"""
    words = [sys.executable, "-c", code, str(poems), str(tmp_path / "shared")]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(said) == [[], ["0", "1", "2", "3"]]
