"""A base that is not there, or not whole, is refused with the next step."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import pytest
from huggingface_hub.errors import GatedRepoError

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.base import Base, open_base


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("./nowhere", "must be builtin:tiny, a folder or a hub name"),
        ("builtin:huge", "must be builtin:tiny, a folder or a hub name"),
        ("gpt2", "must be builtin:tiny, a folder or a hub name"),
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


def test_on_the_cpu_nothing_is_compiled(base: Base) -> None:
    """Each kernel would cost half a second of g++ at its first use on a machine."""
    traced = []

    def double(x: mx.array) -> mx.array:
        traced.append(x)
        return 2 * x

    assert base.model is not None
    compiled = mx.compile(double)
    for _ in range(2):
        mx.eval(compiled(mx.array([1.0])))
    assert len(traced) == (2 if mx.default_device() == mx.cpu else 1)


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
