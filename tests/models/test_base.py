"""A base that is not there, or not whole, is refused with the next step."""

import gc
import hashlib
import json
import shutil
import weakref
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import pytest
from huggingface_hub.errors import GatedRepoError

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.base import Base, open_base
from tests.models.changed import times_3


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("./nowhere", "must be builtin:small, builtin:tiny, a folder or a hub name"),
        ("builtin:huge", "must be builtin:small, builtin:tiny, a folder or a hub name"),
        ("gpt2", "must be builtin:small, builtin:tiny, a folder or a hub name"),
    ],
)
def test_a_path_that_means_nothing_is_refused(path: str, complaint: str) -> None:
    with pytest.raises(HarnessError) as caught:
        open_base(ModelConfig(path=path, revision=None))
    assert complaint in str(caught.value)


def test_a_hub_model_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HarnessError, match="connect and try again, or set model.path to a local folder"):
        open_base(ModelConfig(path="someone/some-model", revision=None))


def test_a_gated_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GatedRepoError("403", response=SimpleNamespace(headers={}, request=None))  # type: ignore[arg-type]

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(HarnessError, match="is gated: accept its licence on its hub page, then run `hf auth login`"):
        open_base(ModelConfig(path="someone/some-model", revision=None))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"must hold config.json and model\*.safetensors"):
        open_base(ModelConfig(path=str(tmp_path), revision=None))


def test_a_local_folder_is_a_base_with_the_same_revision(base: Base) -> None:
    local = open_base(ModelConfig(path=str(base.folder), revision=None))
    assert (local.revision, local.num_blocks) == (base.revision, base.num_blocks)


def test_only_the_random_base_says_that_its_texts_are_nothing_to_read(base: Base) -> None:
    assert base.caveat.startswith("builtin:tiny has random weights")
    assert open_base(ModelConfig(path=str(base.folder), revision=None)).caveat == ""


def test_a_revision_of_a_local_model_is_refused_rather_than_ignored(base: Base) -> None:
    for path in ("builtin:tiny", str(base.folder)):
        with pytest.raises(HarnessError, match="model.revision=v1 is for models of the hub"):
            open_base(ModelConfig(path=path, revision="v1"))


def test_the_base_is_frozen_and_evaluates(base: Base) -> None:
    assert base.model.trainable_parameters() == {} or not list(base.model.trainable_parameters().get("leaves", []))
    assert base.model.training is False


def test_a_model_that_was_let_go_of_is_gone_and_comes_back_the_same() -> None:
    base = open_base(ModelConfig(path="builtin:tiny", revision=None))
    logits = base.model(mx.array([[5, 6, 7]]))
    model = weakref.ref(base.model)
    base.let_go()
    gc.collect()
    assert model() is None
    assert mx.array_equal(base.model(mx.array([[5, 6, 7]])), logits)


def _copied(base: Base, folder: Path) -> Path:
    return Path(shutil.copytree(base.folder, folder))


def test_a_model_with_other_weights_in_the_middle_is_another_base(base: Base, tmp_path: Path) -> None:
    """Header, size and both ends of the file are the same, as of fused, merged and continued models."""
    folder = _copied(base, tmp_path / "other")
    times_3(folder, r"layers\.[12]\.mlp")
    other = open_base(ModelConfig(path=str(folder), revision=None))
    assert other.former_revision == base.former_revision, "what took the two for one"
    assert other.revision != base.revision


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_every_file_that_a_model_is_made_of_counts(name: str, base: Base, tmp_path: Path) -> None:
    folder = _copied(base, tmp_path / "other")
    (folder / name).write_text((folder / name).read_text() + " ")
    assert open_base(ModelConfig(path=str(folder), revision=None)).revision != base.revision


def test_what_else_lies_in_a_models_folder_does_not_count(base: Base, tmp_path: Path) -> None:
    folder = _copied(base, tmp_path / "same")
    (folder / "README.md").write_text("mine")
    (folder / "adapters.safetensors").write_bytes(b"not its weights")
    assert open_base(ModelConfig(path=str(folder), revision=None)).revision == base.revision


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny base as the hub's cache has it: links to files that are named by their content."""
    home = tmp_path / "models--someone--some-model"
    (home / "blobs").mkdir(parents=True)
    folder = home / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for file in base.folder.iterdir():
        content = file.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        name = hashlib.sha256(content).hexdigest() if file.suffix == ".safetensors" else git
        (home / "blobs" / name).write_bytes(content)
        (folder / file.name).symlink_to(f"../../blobs/{name}")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    return folder


HUB = ModelConfig(path="someone/some-model", revision=None)


def test_a_hub_models_revision_is_its_commit(snapshot: Path) -> None:
    found = open_base(HUB)
    assert (found.revision, found.warnings) == (COMMIT, [])


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer_config.json"])
def test_a_hub_model_that_was_changed_in_place_is_another_base(name: str, snapshot: Path) -> None:
    content = bytearray((snapshot / name).read_bytes())
    content[-2] ^= 1
    (snapshot / name).write_bytes(content)
    found = open_base(HUB)
    assert found.revision != COMMIT and len(found.revision) == 32
    assert found.changed == (name,)


def test_a_hub_model_with_other_weights_says_which_files_are_not_the_hubs(snapshot: Path) -> None:
    times_3(snapshot, "mlp")
    assert "model.safetensors of someone/some-model are not what the hub has" in " ".join(open_base(HUB).warnings)


def test_a_template_that_writes_the_date_writes_the_same_on_every_day(base: Base, tmp_path: Path) -> None:
    folder = _copied(base, tmp_path / "dated")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    dates = "\n{% set f = '%H' %}{{ strftime_now('%d %b %Y') }} {{ strftime_now(f) }}"
    (folder / "chat_template.jinja").write_text(dates + "{% for m in messages %}{{ m['content'] }}{% endfor %}")
    dated = open_base(ModelConfig(path=str(folder), revision=None))
    said = dated.tokenizer.render([{"role": "user", "content": "河"}], add_generation_prompt=False)
    assert said == "\n26 Jul 2024 2024-07-26河"
    assert "writes the day's date: it gets 26 July 2024 on every day" in " ".join(dated.warnings)
    assert base.warnings == []
