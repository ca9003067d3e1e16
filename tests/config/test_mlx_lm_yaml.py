"""A settings file of mlx_lm.lora becomes values that train the same, with a word on what differs."""

from pathlib import Path
from typing import Any

import pytest

from harness.config.adopt import adopt
from harness.config.mlx_lm_yaml import translate
from harness.config.paths import CONF, MLRUNS
from harness.config.yaml_file import read_mapping
from harness.errors import HarnessError

FILE = """
model: mlx-community/Qwen2.5-7B-Instruct-4bit
train: true
data: my/data
num_layers: 0
batch_size: 2
grad_accumulation_steps: 4
iters: 800
val_batches: 25
learning_rate: 1e-5
save_every: 100
report_to: wandb
lora_parameters: {rank: 8, alpha: 16, scale: 16.0, dropout: 0.1, keys: [self_attn.q_proj]}
lr_schedule: {name: cosine_decay, warmup: 10, arguments: [1e-5, 190, 1e-7]}
"""


def _translated(tmp_path: Path, text: str = FILE) -> tuple[dict[str, dict[str, Any]], list[str]]:
    (tmp_path / "lora.yaml").write_text(text, encoding="utf-8")
    return translate(read_mapping(tmp_path / "lora.yaml"), tmp_path / "lora.yaml")


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "..", ""])
def test_a_preset_is_written_among_presets_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "lora.yaml").write_text("iters: 10\n", encoding="utf-8")
    with pytest.raises(HarnessError, match="--name must be a name without /"):
        adopt(tmp_path / "lora.yaml", name)


def test_counts_of_micro_batches_become_updates(tmp_path: Path) -> None:
    values, notes = _translated(tmp_path)
    train = values["train"]
    assert (train["iters"], train["save_every"], train["steps_per_eval"], train["steps_per_report"]) == (200, 25, 50, 2)
    assert any("iters 800 is 200" in note for note in notes)


def test_scale_is_kept_and_alpha_is_said_to_be_ignored(tmp_path: Path) -> None:
    values, notes = _translated(tmp_path)
    assert values["lora"]["scale"] == 16.0 and "alpha" not in values["lora"]
    assert any(note.startswith("alpha=16 is left out") for note in notes)


def test_layers_schedule_and_validation_rows_are_carried_over(tmp_path: Path) -> None:
    values, notes = _translated(tmp_path)
    train = values["train"]
    assert values["lora"]["num_layers"] == -1, "mlx-lm takes 0 for all"
    assert (train["lr_schedule"], train["warmup"], train["learning_rate"]) == ("cosine", 10, 1e-5)
    assert train["learning_rate_end"] == 1e-7 and train["valid_rows"] == 50
    assert not any("decays over" in note for note in notes)
    assert any("report_to has no counterpart" in note for note in notes)


def test_what_a_file_leaves_out_is_mlx_lms_default(tmp_path: Path) -> None:
    values, _ = _translated(tmp_path, "model: a/b\n")
    lora, train = values["lora"], values["train"]
    assert (lora["rank"], lora["scale"], lora["num_layers"]) == (8, 20.0, 16)
    assert (train["iters"], train["optimizer"], train["mask_prompt"]) == (1000, "adam", False)
    assert train["optimizer_args"] == {"bias_correction": False} and train["max_grad_norm"] is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fine_tune_type: full", "fine_tune_type=full has no counterpart here"),
        ("lr_schedule: {name: step_decay, arguments: [1, 2, 3]}", "lr_schedule step_decay has no counterpart"),
        ("- a", "must hold a mapping"),
        ("a: [", ":1 must be readable YAML"),
    ],
)
def test_what_cannot_be_translated_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError) as caught:
        _translated(tmp_path, text)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_values_that_cannot_work_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("batch_size: 0\n", encoding="utf-8")
    with pytest.raises(HarnessError, match="train.batch_size must be at least 1, but got 0"):
        adopt(tmp_path / "bad.yaml", "never-written")
    assert not (CONF / "experiment" / "never-written.yaml").exists()


def test_a_preset_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "lora.yaml").write_text(FILE, encoding="utf-8")
    with pytest.raises(HarnessError, match="is there already; choose another --name"):
        adopt(tmp_path / "lora.yaml", "poetry-7b")


def test_an_adopted_preset_is_one_of_this_harness(tmp_path: Path) -> None:
    (tmp_path / "lora.yaml").write_text(FILE, encoding="utf-8")
    path, _ = adopt(tmp_path / "lora.yaml", "adopted", tmp_path / "experiment")
    assert path == tmp_path / "experiment" / "adopted.yaml"
    text = path.read_text("utf-8")
    assert text.startswith("# @package _global_\n") and "rank: 8" in text


@pytest.mark.parametrize(
    "data",
    [
        "hf_dataset: {path: mlx-community/wikisql, prompt_feature: question, completion_feature: sql}",
        "hf_dataset: [{path: a/b, config: {name: en}, train_split: 'train[:1000]'}, {path: c, chat_feature: talk}]",
        "data: mlx-community/wikisql",
        "data: DATA\nprompt_feature: question\ncompletion_feature: sql",
    ],
)
def test_data_that_is_no_folder_of_lines_is_to_be_prepared_first(data: str, tmp_path: Path) -> None:
    values, notes = _translated(tmp_path, data.replace("DATA", str(tmp_path)))
    assert values["data"]["path"] == str(MLRUNS / "data" / "lora")
    (note,) = [note for note in notes if "harness.prepare" in note]
    assert f"source=hf source.path={tmp_path / 'lora.yaml'}" in note and f"data.path={MLRUNS / 'data' / 'lora'}" in note
    assert any("is a name on Hugging Face's hub" in note for note in notes) == (data == "data: mlx-community/wikisql")
    assert not any("no counterpart" in note for note in notes)


def test_a_folder_of_lines_is_trained_on_as_it_is(tmp_path: Path) -> None:
    values, notes = _translated(tmp_path, f"data: {tmp_path}")
    assert values["data"]["path"] == str(tmp_path) and not any("prepare" in note for note in notes)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("hf_dataset: {prompt_feature: q}", "hf_dataset must have a path"),
        ("hf_dataset: {path: a, promt_feature: q}", "hf_dataset.promt_feature has no meaning in mlx-lm; it has path"),
    ],
)
def test_a_data_set_that_says_too_little_is_refused(data: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=complaint):
        _translated(tmp_path, data)
