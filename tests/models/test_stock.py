"""Models that an adapter is worked into, as mlx-lm reads them: layers of experts, embeddings and heads too."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

from harness.config.schema import ModelConfig
from harness.models.adapter import adapter_weights, attached, loaded, save_weights
from harness.models.adapter_files import AdapterFiles, AdapterSpec, save_spec
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.models.stock import Bits, copy_small_files, fused_model, load_stock, write_fused
from tests.tuning.architectures import ARCHITECTURES

TOKENS = mx.array([[5, 6, 7, 8, 9, 10]])
KEYS = {
    "qwen3_moe": ["self_attn.q_proj", "mlp.switch_mlp.gate_proj", "mlp.switch_mlp.down_proj", "lm_head"],
    "gemma3_text": ["self_attn.v_proj", "mlp.up_proj"],
    "mixtral": ["self_attn.o_proj", "block_sparse_moe.switch_mlp.up_proj"],
}


@pytest.fixture(scope="module")
def quantized(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Base]:
    """A random model of an architecture in 4 bits, with the tiny base's tokenizer."""

    def make(name: str) -> Base:
        folder = tmp_path_factory.mktemp("bases") / name
        folder.mkdir()
        module = import_module(f"mlx_lm.models.{name}")
        vocabulary = {"vocab_size": base.vocabulary, "hidden_size": 64, "intermediate_size": 64}
        shared = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6}
        rest = {"head_dim": 16, "max_position_embeddings": 512, "rope_theta": 10000.0}
        config = {"model_type": name, **vocabulary, **shared, **rest, **ARCHITECTURES[name]}
        model = module.Model(module.ModelArgs.from_dict(config))
        model, config = quantize_model(model, config, 32, 4)
        save_model(folder, model)
        save_config(config, folder / "config.json")
        copy_small_files(base, folder)
        return open_base(ModelConfig(path=str(folder), revision=None))

    return make


def _adapter(base: Base, keys: list[str], folder: Path) -> AdapterFiles:
    spec = AdapterSpec("lora", 4, 8.0, 0.0, 2, keys, base.path, base.revision)
    with attached(base.model, spec, seed=1):
        weights = adapter_weights(base.model)
    key = mx.random.key(2)
    filled = {
        name: mx.random.normal(value.shape, scale=0.2, key=key) if name.endswith("lora_b") else value
        for name, value in weights.items()
    }
    save_weights(folder / "adapters.safetensors", filled, {})
    save_spec(folder, spec)
    return read_adapter(folder)


@pytest.mark.parametrize("name", KEYS)
def test_what_mlx_lm_loads_is_what_was_fused(name: str, quantized: Callable[[str], Base], tmp_path: Path) -> None:
    base = quantized(name)
    adapter = _adapter(base, KEYS[name], tmp_path)
    bare = base.model(TOKENS)
    with loaded(base.model, adapter):
        wanted = base.model(TOKENS)
    effect = mx.abs(wanted - bare).mean().item()
    errors = {}
    for how in ("base", "mixed", "8", "full"):
        model = fused_model(base, adapter, Bits(how=how, group_size=32))
        write_fused(tmp_path / how, model, base)
        again = load_stock(tmp_path / how, base)
        assert mx.array_equal(again.model(TOKENS), model.model(TOKENS)).item()
        errors[how] = mx.abs(again.model(TOKENS) - wanted).mean().item() / effect
    assert errors["full"] < 0.01 and errors["8"] < 0.1 and errors["mixed"] < errors["base"] / 2
    config = json.loads((tmp_path / "mixed" / "config.json").read_text("utf-8"))
    kept = [name for name, value in config["quantization"].items() if isinstance(value, dict) and value["bits"] == 8]
    of_architecture = {"mlp.gate"}  # mlx-lm keeps a router's bits by itself
    assert {name.split("layers.")[-1].split(".", 1)[-1] for name in kept} - of_architecture == set(KEYS[name])
    assert mx.array_equal(base.model(TOKENS), bare).item()


def test_a_model_in_full_precision_holds_no_scales(quantized: Callable[[str], Base], tmp_path: Path) -> None:
    base = quantized("gemma3_text")
    model = fused_model(base, _adapter(base, KEYS["gemma3_text"], tmp_path), Bits(how="full"))
    write_fused(tmp_path / "full", model, base)
    found, config = load_model(tmp_path / "full")
    assert "quantization" not in config
    assert not [name for name, _ in tree_flatten(found.parameters()) if name.endswith("scales")]
