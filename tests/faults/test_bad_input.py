"""What a careless user gives, and the one line that each gets: file, line, next step; nothing half-written."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

import harness.generate
import harness.train
from harness.config.schema import ModelConfig
from harness.models.base import open_base
from tests.commands import run_command
from tests.conftest import QUICK

GOOD = json.dumps(
    {"messages": [{"role": "user", "content": "河"}, {"role": "assistant", "content": "它把两岸背了一辈子"}]}
)


class Place:
    """A data folder, a base and a database that a test spoils; commands run in this process."""

    def __init__(self, folder: Path, home: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.home, self.data = folder, home, folder / "data"
        self._capsys, self._patch = capsys, patch
        self.data.mkdir()
        for name in ("train", "valid"):
            (self.data / f"{name}.jsonl").write_text((GOOD + "\n") * 4, encoding="utf-8")

    def train(self, *overrides: str) -> str:
        """Run harness.train; the one line that it ends with."""
        words = [*QUICK, f"data.path={self.data}", f"tracking.uri=sqlite:///{self.home / 'mlflow.db'}", *overrides]
        return self._run(harness.train.main, words)

    def generate(self, *overrides: str) -> str:
        return self._run(harness.generate.main, ["theme=河", "generate.max_tokens=2", *overrides])

    def _run(self, main: Callable[[], None], words: list[str]) -> str:
        self._patch.setattr(sys, "argv", ["harness", *words])
        self._patch.chdir(self.folder)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        said = self._capsys.readouterr()
        errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert said.out == "" and len(errors) == 1 and said.err.rstrip().endswith(errors[0]), said.err
        assert "Traceback" not in said.err and "HARNESS_TRACEBACK" not in said.err
        return errors[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def place(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, home, capsys, monkeypatch)


@pytest.fixture(scope="module")
def adapter(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter's folder, of rank 8 on the last two blocks."""
    words = [*QUICK, "train.iters=1", "generate.prompts=[]", f"tracking.uri=sqlite:///{home / 'mlflow.db'}"]
    done = run_command("-m", "harness.train", *words, folder=home, check=True)
    target = tmp_path_factory.mktemp("adapter") / "adapters"
    shutil.copytree(home / "runs" / done.stdout.strip() / "adapters", target)
    return target


def _base(place: Place) -> Path:
    """A copy of builtin:tiny to spoil."""
    return Path(
        shutil.copytree(open_base(ModelConfig(path="builtin:tiny", revision=None)).folder, place.folder / "base")
    )


def test_a_missing_file(place: Place) -> None:
    (place.data / "valid.jsonl").unlink()
    assert place.train() == (
        f"error: {place.data}/valid.jsonl is not there; data.path must be a folder with train.jsonl and valid.jsonl"
    )


def test_an_empty_file(place: Place) -> None:
    (place.data / "train.jsonl").write_text("")
    assert f"train.jsonl in {place.data} has no row to learn from; add lines to it" in place.train()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"text": "half', "must be one JSON object, but Unterminated string starting at at column 10; mend the line"),
        ('{"text": "\u6cb3"}'.encode("gbk"), "must be UTF-8, but byte "),
        (b'{"poem": "x"}', "or text, or conversations, or instruction and output, but it has poem"),
        (
            b'{"messages": [{"role": "poet", "content": "x"}]}',
            "role must be one of system, user, assistant, tool, or a",
        ),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "there must be an assistant message to learn, but there"),
        (b"[1, 2]", "must be one JSON object, but it is a list; mend the line"),
    ],
    ids=["broken-json", "wrong-encoding", "missing-keys", "unknown-role", "no-assistant", "no-object"],
)
def test_a_line_that_cannot_be_read(place: Place, line: bytes, complaint: str) -> None:
    (place.data / "train.jsonl").write_bytes(f"{GOOD}\n{GOOD}\n".encode() + line + b"\n")
    said = place.train()
    assert f"{place.data}/train.jsonl:3" in said and complaint in said


def test_nothing_left_to_learn_in_any_row(place: Place) -> None:
    (place.data / "train.jsonl").write_text((GOOD + "\n") * 4, encoding="utf-8")
    assert "has no row to learn from" in place.train("train.max_seq_length=4")


def test_a_template_that_the_model_lacks(place: Place) -> None:
    base = _base(place)
    for file in base.iterdir():
        if file.name == "chat_template.jinja":
            file.unlink()
        elif file.name == "tokenizer_config.json":
            settings = json.loads(file.read_text("utf-8"))
            settings.pop("chat_template", None)
            file.write_text(json.dumps(settings), encoding="utf-8")
    assert f"{base} has no chat template, which lines with messages or prompt need" in place.train(f"model.path={base}")


def test_a_base_that_is_not_there(place: Place) -> None:
    assert "model.path=./nowhere must be builtin:small, builtin:tiny, a folder or a hub name" in place.train(
        "model.path=./nowhere"
    )


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_base(place: Place, file: str) -> None:
    base = _base(place)
    whole = (base / file).read_bytes()
    (base / file).write_bytes(whole[: len(whole) // 2])
    said = place.train(f"model.path={base}")
    assert str(base) in said and "again" in said


def test_a_tokenizer_with_more_tokens_than_the_base(place: Place) -> None:
    """Its embedding would be read beyond its end: numbers at random, and no error."""
    base = _base(place)
    config = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"vocab_size": 300}), encoding="utf-8")
    weights = mx.load(str(base / "model.safetensors"))
    assert isinstance(weights, dict)
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:300]
    mx.save_safetensors(str(base / "model.safetensors"), weights, {"format": "mlx"})
    said = place.train(f"model.path={base}")
    assert f"{place.data}/train.jsonl:1: token " in said and f"must be below the 300 that {base} knows" in said


def test_an_adapter_of_another_rank(place: Place, adapter: Path) -> None:
    said = place.train(f"train.init_adapter={adapter}", "lora.rank=4")
    assert f"train.init_adapter={adapter} has lora.rank=8, but this run 4; make them the same" in said


def test_an_adapter_for_another_base(place: Place, adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    other = Path(shutil.copytree(adapter, place.folder / "other", symlinks=False))
    (other / "adapter_config.json").write_text(json.dumps(config | {"model_revision": "f" * 16}), encoding="utf-8")
    assert f"was trained on builtin:tiny at {'f' * 16}, but this run's base is" in place.train(
        f"train.init_adapter={other}"
    )


@pytest.mark.parametrize("kept", [0, 7, 200, 5000])
def test_a_truncated_adapter(place: Place, adapter: Path, kept: int) -> None:
    cut = Path(shutil.copytree(adapter, place.folder / "cut", symlinks=False))
    weights = cut / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    assert f"{weights} is not a readable safetensors file" in place.generate(f"adapters={cut}")
    assert f"{weights} is not a readable safetensors file" in place.train(f"train.init_adapter={cut}")


def test_a_damaged_adapter_configuration(place: Place, adapter: Path) -> None:
    spoilt = Path(shutil.copytree(adapter, place.folder / "spoilt", symlinks=False))
    (spoilt / "adapter_config.json").write_text("{")
    assert f"{spoilt}/adapter_config.json is not an adapter's configuration" in place.generate(f"adapters={spoilt}")


def test_a_damaged_database(place: Place) -> None:
    (place.folder / "mlflow.db").write_bytes(b"this is no database" * 100)
    said = place.train(f"tracking.uri=sqlite:///{place.folder / 'mlflow.db'}")
    assert "cannot be opened" in said and "file is not a database" in said


def test_a_locked_database(place: Place, adapter: Path) -> None:
    holder = sqlite3.connect(place.home / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    said = place.train()
    holder.execute("ROLLBACK")
    holder.close()
    assert f"{place.home / 'mlflow.db'} cannot be written; end the program that holds it" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a folder whose rights forbid it")
def test_a_folder_without_the_right_to_write(place: Place) -> None:
    closed = place.folder / "closed"
    closed.mkdir(mode=0o500)
    said = place.train(f"tracking.uri=sqlite:///{closed / 'new' / 'mlflow.db'}")
    assert "cannot be written: Permission denied; choose another folder, or change its rights" in said


def test_nothing_half_written_was_left(place: Place, adapter: Path) -> None:
    """After all of the above (they share the database): the one run that was meant, and no other."""
    assert len(list((place.home / "runs").iterdir())) == 1


def test_a_form_that_is_not_known_is_refused_before_the_libraries_are_loaded(tmp_path: Path) -> None:
    for name in ("train", "valid"):
        line = json.dumps({"poem": "河", "poet": "岸"})
        (tmp_path / f"{name}.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
    for words in ([], ["-m", "lora.rank=1,2"]):
        code = (
            "import sys, harness.train\n"
            f"sys.argv[1:] = {[*words, f'data.path={tmp_path}']!r}\n"
            "try:\n    harness.train.main()\n"
            "finally:\n    print(*{'mlx', 'mlflow', 'optuna', 'transformers'} & set(sys.modules))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1 and done.stdout.strip() == ""
        assert done.stderr == (
            f"error: {tmp_path}/train.jsonl:2: must have messages, or prompt and completion, or text, "
            "or conversations, or instruction and output, but it has poem, poet\n"
        )
