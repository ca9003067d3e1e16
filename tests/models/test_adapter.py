"""Adapters come and go without a trace, and stock mlx-lm reads what we write."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model

from harness.config.schema import Config
from harness.errors import DamagedError, HarnessError, WriteError
from harness.models.adapter import (
    adapter_weights,
    attached,
    load_weights,
    loaded,
    save_weights,
    spec_for,
    unevenly_adapted,
)
from harness.models.adapter_files import AdapterSpec, checkpoint_name, save_spec
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base
from tests.conftest import compose_config
from tools.architectures.tiny import tiny_model

MakeSpec = Callable[..., AdapterSpec]
TOKENS = mx.array([[5, 6, 7, 8]])


def _same(first: dict[str, mx.array], second: dict[str, mx.array]) -> bool:
    return first.keys() == second.keys() and all(mx.array_equal(first[key], second[key]).item() for key in first)


def _randomize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
    return {name: mx.random.normal(value.shape, key=mx.random.key(3)) * 0.3 for name, value in weights.items()}


def _save(base: Base, spec: AdapterSpec, folder: Path) -> mx.array:
    """A random adapter in `folder`; returns the logits that it gives."""
    with attached(base.model, spec, seed=0):
        weights = _randomize(adapter_weights(base.model))
        base.model.load_weights(list(weights.items()), strict=False)
        logits = base.model(TOKENS)
        mx.eval(logits)
        save_weights(folder / checkpoint_name(200), weights, {"step": "200"})
        save_weights(folder / "adapters.safetensors", weights, {"step": "200"})
        save_spec(folder, spec)
    return logits


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_detaching_leaves_the_very_modules_and_outputs_of_before(base: Base, make_spec: MakeSpec, kind: str) -> None:
    before = base.model(TOKENS)
    modules = dict(base.model.named_modules())
    with attached(base.model, make_spec(fine_tune_type=kind), seed=0):
        assert len(adapter_weights(base.model)) > 0
    after = dict(base.model.named_modules())
    assert after.keys() == modules.keys() and all(after[name] is modules[name] for name in modules)
    assert mx.array_equal(before, base.model(TOKENS)).item()
    assert tree_flatten(base.model.trainable_parameters()) == []


def test_detaching_happens_after_an_error_too(base: Base, make_spec: MakeSpec) -> None:
    names = [name for name, _ in base.model.named_modules()]
    with pytest.raises(KeyboardInterrupt), attached(base.model, make_spec(), seed=0):
        raise KeyboardInterrupt
    assert [name for name, _ in base.model.named_modules()] == names


def test_start_weights_depend_on_the_seed_alone(base: Base, make_spec: MakeSpec) -> None:
    found = []
    for seed in (1, 1, 2):
        mx.random.normal((7,))  # somebody else draws in between
        with attached(base.model, make_spec(), seed=seed):
            found.append(adapter_weights(base.model))
    assert _same(found[0], found[1]) and not _same(found[0], found[2])


def test_attaching_leaves_the_callers_random_state(base: Base, make_spec: MakeSpec) -> None:
    mx.random.seed(9)
    expected = mx.random.normal((3,)).tolist()
    mx.random.seed(9)
    with attached(base.model, make_spec(), seed=0):
        pass
    assert mx.random.normal((3,)).tolist() == expected


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_stock_mlx_lm_loads_our_adapter_to_the_same_logits(
    base: Base, make_spec: MakeSpec, kind: str, tmp_path: Path
) -> None:
    ours = _save(base, make_spec(fine_tune_type=kind), tmp_path)
    stock, _ = load_model(base.folder)
    load_adapters(stock, str(tmp_path))
    stock.eval()
    assert mx.array_equal(ours, stock(TOKENS)).item()


def test_a_saved_adapter_is_loaded_back_to_the_same_logits(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    ours = _save(base, make_spec(), tmp_path)
    for path in (tmp_path, tmp_path / checkpoint_name(200)):
        adapter = read_adapter(path)
        assert adapter.iteration == 200
        with loaded(base.model, adapter):
            assert mx.array_equal(ours, base.model(TOKENS)).item()


def test_a_loaded_adapter_drops_nothing_out(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    """It is put on to be used: a run's samples were written with the dropout of its training."""
    _save(base, make_spec(dropout=0.5), tmp_path)
    with loaded(base.model, read_adapter(tmp_path)):
        assert mx.array_equal(base.model(TOKENS), base.model(TOKENS)).item()


def test_a_scale_of_nothing_is_the_bare_base(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    bare = base.model(TOKENS)
    ours = _save(base, make_spec(), tmp_path)
    with loaded(base.model, read_adapter(tmp_path), scale=0.0):
        assert mx.array_equal(bare, base.model(TOKENS)).item()
    assert not mx.array_equal(bare, ours).item()


def test_an_adapter_that_mlx_lm_wrote_without_keys_is_read(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    ours = _save(base, make_spec(), tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    del config["lora_parameters"]["keys"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with loaded(base.model, read_adapter(tmp_path)):
        assert mx.array_equal(ours, base.model(TOKENS)).item()


def test_weights_of_another_rank_are_refused_with_both_shapes(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    _save(base, make_spec(rank=8), tmp_path)
    with (
        attached(base.model, make_spec(rank=4), seed=0),
        pytest.raises(HarnessError, match=r"is \(\d+, 8\) in the file, but \(\d+, 4\) in this adapter"),
    ):
        load_weights(base.model, tmp_path / "adapters.safetensors")


def test_weights_for_fewer_layers_are_refused(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    _save(base, make_spec(num_layers=1), tmp_path)
    with (
        attached(base.model, make_spec(num_layers=2), seed=0),
        pytest.raises(HarnessError, match="is nothing in the file"),
    ):
        load_weights(base.model, tmp_path / "adapters.safetensors")


def test_a_truncated_file_is_refused(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    _save(base, make_spec(), tmp_path)
    path = tmp_path / "adapters.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with attached(base.model, make_spec(), seed=0), pytest.raises(HarnessError, match="is not a readable safetensors"):
        load_weights(base.model, path)


def test_a_changed_weight_is_noticed_when_the_adapter_is_put_on(
    base: Base, make_spec: MakeSpec, tmp_path: Path
) -> None:
    _save(base, make_spec(), tmp_path)
    path = tmp_path / "adapters.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with (
        pytest.raises(DamagedError, match="its checksum does not fit; copy or download it again, or take another"),
        loaded(base.model, read_adapter(tmp_path)),
    ):
        pass


def test_an_adapter_that_mlx_lm_wrote_has_no_checksum_and_is_read(
    base: Base, make_spec: MakeSpec, tmp_path: Path
) -> None:
    ours = _save(base, make_spec(), tmp_path)
    path = tmp_path / "adapters.safetensors"
    mx.save_safetensors(str(path), dict(mx.load(str(path))))  # as its trainer does
    with loaded(base.model, read_adapter(tmp_path)):
        assert mx.array_equal(ours, base.model(TOKENS)).item()


@pytest.mark.parametrize("rank", [3_000_000, 5, 0, -1])
def test_a_rank_that_its_weights_do_not_have_is_refused_from_the_header(
    rank: int, base: Base, make_spec: MakeSpec, tmp_path: Path
) -> None:
    """Attaching three million took minutes and all memory."""
    _save(base, make_spec(), tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    config["lora_parameters"]["rank"] = rank
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(HarnessError, match=f"says rank {rank}, but .*lora_b is .*copy both again"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fine_tune_type": "full"}, "fine_tune_type must be lora or dora, but got full"),
        ({"lora_parameters": {"rank": 4, "scale": float("nan")}}, "scale must be a finite number"),
        ({"lora_parameters": {"rank": 4, "scale": 1, "dropout": 1}}, "dropout one from 0 to below 1"),
        ({"lora_parameters": {"rank": 1e999, "scale": 1}}, "is not an adapter's configuration"),
        ({"lora_parameters": None}, "is not an adapter's configuration"),
    ],
)
def test_a_configuration_that_no_adapter_has_is_refused(
    change: dict[str, object], complaint: str, base: Base, make_spec: MakeSpec, tmp_path: Path
) -> None:
    _save(base, make_spec(), tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(HarnessError, match=complaint):
        read_adapter(tmp_path)


def test_weights_that_are_no_adapter_are_refused(base: Base, make_spec: MakeSpec, tmp_path: Path) -> None:
    _save(base, make_spec(), tmp_path)
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), {"model.embed_tokens.weight": mx.ones((4, 4))})
    with pytest.raises(HarnessError, match="must hold an adapter's weights, but none of its names ends in .lora_b"):
        read_adapter(tmp_path)


def test_a_reference_to_nothing_says_what_an_adapter_is(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="must be a folder with adapters.safetensors, a checkpoint file"):
        read_adapter(tmp_path)


def test_a_weights_file_without_its_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapters.safetensors").write_bytes(b"")
    with pytest.raises(HarnessError, match="adapter_config.json must lie beside"):
        read_adapter(tmp_path)


def test_an_interrupted_save_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "adapters.safetensors"
    save_weights(path, {"a": mx.ones(3)}, {})
    before = path.read_bytes()

    def fail(file: str, *_: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mx, "save_safetensors", fail)
    with pytest.raises(WriteError, match="cannot be written: No space left on device; make room"):
        save_weights(path, {"a": mx.zeros(3)}, {})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_dora_on_experts_is_refused_with_what_it_can_go_on(quick_config: Callable[..., Config]) -> None:
    model, _ = tiny_model("qwen3_moe")
    lora = replace(quick_config().lora, fine_tune_type="dora", keys=["q_proj", "up_proj"])
    with pytest.raises(
        HarnessError, match=r"not go on layers of experts \(mlp.switch_mlp.up_proj\); set lora.fine_tune"
    ):
        spec_for(lora, model, base="", base_revision="")
    assert spec_for(replace(lora, keys=["q_proj"]), model, base="", base_revision="").keys == ["self_attn.q_proj"]


def test_a_key_that_some_adapted_blocks_lack_is_said_with_how_many_have_it() -> None:
    model, _ = tiny_model("qwen3_next")
    lora = replace(compose_config("lora.keys=[q_proj,gate_proj]").lora, num_layers=-1)
    [line] = unevenly_adapted(lora, spec_for(lora, model, base="", base_revision=""), model)
    assert line.startswith("q_proj of lora.keys is in 2 of the 4 adapted blocks")
    every = replace(lora, keys=None)
    assert unevenly_adapted(every, spec_for(every, model, base="", base_revision=""), model) == []
