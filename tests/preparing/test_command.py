"""The command as a user types it: prepare, and look at rows of the folder."""

import json
from pathlib import Path

from tests.pipeline.test_commands import run


def test_a_folder_is_prepared_and_its_rows_are_shown(tmp_path: Path) -> None:
    rows = [{"prompt": f"第{number}个问题", "completion": "河" * (number + 3)} for number in range(30)]
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    store = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    said = run(
        "harness.prepare",
        "source=chat",
        "source.path=raw.jsonl",
        "data.path=new/out",
        "show=1",
        "model=tiny",
        store,
        cwd=tmp_path,
    )
    assert "30 read" in said and "wrote to new/out: train.jsonl" in said and "⟦河河河" in said
    origins = [
        json.loads(line) for line in (tmp_path / "new" / "out" / "origins.jsonl").read_text("utf-8").splitlines()
    ]
    assert sorted(each["origin"] for each in origins) == sorted(f"raw.jsonl:{number + 1}" for number in range(30))
    for each in origins:
        line = (tmp_path / "new" / "out" / f"{each['split']}.jsonl").read_text("utf-8").splitlines()[each["line"] - 1]
        assert json.loads(line) == rows[int(each["origin"].rpartition(":")[2]) - 1]
