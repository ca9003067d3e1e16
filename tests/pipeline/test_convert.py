"""harness.convert as a user types it."""

from pathlib import Path

from tests.commands import run_command


def test_a_model_is_converted_once_and_the_same_command_again_is_refused(tmp_path: Path) -> None:
    (tmp_path / "valid.jsonl").write_text('{"prompt": "河", "completion": "水流过去"}\n', encoding="utf-8")
    words = ["-m", "harness.convert", "builtin:tiny", "--bits", "4", "--data", "."]
    made = run_command(*words, folder=tmp_path, check=True)
    assert "use it: model.path=tiny-4bit" in made.stdout and "computing the loss of tiny-4bit" in made.stderr
    again = run_command(*words, folder=tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.strip() == (
        "error: --out=tiny-4bit must not be there yet, but it is; remove it, or choose another name"
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tiny-4bit", "valid.jsonl"]
