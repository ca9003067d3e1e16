"""Whether an adapter is whole and fits its base."""

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import Config
from harness.errors import HarnessError
from harness.files import digest_of
from harness.models.adapter_files import CONFIG_FILE, AdapterFiles
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base
from harness.models.tensors import Arrays, load_arrays, save_arrays
from harness.releasing.checks.completeness import check_completeness
from harness.releasing.checks.verdict import Verdict
from tests.releasing.checks.adapters import made, noise

Check = Callable[..., Verdict]


@pytest.fixture
def adapter(base: Base, quick_config: Callable[..., Config], tmp_path: Path) -> AdapterFiles:
    return made(base, quick_config(), tmp_path / "adapter", noise(0.05)).adapter


def _checked(adapter: AdapterFiles, base: Base, logged: str | None = None) -> Verdict:
    return check_completeness(lambda: read_adapter(adapter.weights), lambda found: base, logged=logged)


def _rewritten(adapter: AdapterFiles, change: Callable[[Arrays], object]) -> None:
    arrays, metadata = load_arrays(adapter.weights)
    change(arrays)
    mx.eval(arrays)
    save_arrays(adapter.weights, arrays, {key: value for key, value in metadata.items() if key != "checksum"})


def _reconfigured(adapter: AdapterFiles, change: Callable[[dict[str, object]], object]) -> None:
    file = adapter.weights.parent / CONFIG_FILE
    content = json.loads(file.read_text("utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def test_a_whole_one_passes(adapter: AdapterFiles, base: Base) -> None:
    verdict = _checked(adapter, base, digest_of(adapter.weights))
    assert verdict.passed and verdict.figure == 0, verdict.said


def _first(arrays: Arrays) -> str:
    return sorted(arrays)[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.pop(_first(arrays)), "does not fit"),
        (lambda arrays: arrays.update({_first(arrays): arrays[_first(arrays)][:, :1]}), "does not fit"),
        (lambda arrays: arrays.update({_first(arrays): arrays[_first(arrays)] * mx.nan}), "is no number"),
        (lambda arrays: arrays.update({_first(arrays): arrays[_first(arrays)] + mx.inf}), "is no number"),
    ],
    ids=["a tensor is missing", "a tensor is narrower", "a NaN", "an infinity"],
)
def test_weights_that_are_not_whole_are_refused(
    adapter: AdapterFiles, base: Base, change: Callable[[Arrays], object], said: str
) -> None:
    _rewritten(adapter, change)
    verdict = _checked(adapter, base)
    assert not verdict.passed and said in verdict.said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content["lora_parameters"].update(rank=3), "do not belong together"),
        (lambda content: content["lora_parameters"].update(keys=["self_attn.q_proj"]), "does not fit"),
        (lambda content: content.update(num_layers=1), "does not fit"),
        (lambda content: content.update(model_revision="0" * 32), "but here that is"),
        (lambda content: content.update(model_revision=None), "does not say which revision"),
    ],
    ids=["another rank", "other keys", "fewer blocks", "another base", "no base"],
)
def test_a_spec_that_the_weights_or_the_base_do_not_bear_out_is_refused(
    adapter: AdapterFiles, base: Base, change: Callable[[dict[str, object]], object], said: str
) -> None:
    _reconfigured(adapter, change)
    verdict = _checked(adapter, base)
    assert not verdict.passed and said in verdict.said


def test_other_weights_than_were_logged_are_refused(adapter: AdapterFiles, base: Base) -> None:
    logged = digest_of(adapter.weights)
    _rewritten(adapter, lambda arrays: arrays.update({_first(arrays): arrays[_first(arrays)] * 2}))
    verdict = _checked(adapter, base, logged)
    assert not verdict.passed and "weights that were logged" in verdict.said


def test_a_byte_that_changed_is_refused(adapter: AdapterFiles, base: Base) -> None:
    content = bytearray(adapter.weights.read_bytes())
    content[-1] ^= 1
    adapter.weights.write_bytes(bytes(content))
    verdict = _checked(adapter, base)
    assert not verdict.passed and "checksum" in verdict.said


@pytest.mark.parametrize("file", [CONFIG_FILE, "weights"])
def test_a_file_that_is_not_there_is_refused(adapter: AdapterFiles, base: Base, file: str) -> None:
    (adapter.weights if file == "weights" else adapter.weights.parent / file).unlink()
    assert not _checked(adapter, base).passed


def test_a_base_that_is_not_there_is_refused(adapter: AdapterFiles) -> None:
    def gone(found: AdapterFiles) -> Base:
        raise HarnessError("no such folder is there")

    verdict = check_completeness(lambda: adapter, gone, logged=None)
    assert not verdict.passed and "no such folder" in verdict.said
