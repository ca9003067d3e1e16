"""PEFT's format written and read without torch: to the bit, both ways, and what has no place in it refused by name."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.adapter import adapter_weights, attached, check_fits, loaded, save_weights, spec_for
from harness.models.adapter_files import WEIGHTS_FILE, AdapterFiles, AdapterSpec, save_spec
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.models.peft_folder import read_peft
from harness.models.peft_format import alpha_of, write_peft
from harness.models.stacked import StackedAdapters
from harness.models.tensors import Arrays
from tests.conftest import compose_config
from tools.architectures import tiny

TOKENS = mx.array([[5, 6, 7, 8]])
MakeBase = Callable[[str], Base]


@pytest.fixture(scope="module")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> MakeBase:
    made: dict[str, Base] = {}

    def make(name: str) -> Base:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            tiny.save(name, folder)
            made[name] = open_base(ModelConfig(path=str(folder), revision=None))
        return made[name]

    return make


def _spec(base: Base, *overrides: str) -> AdapterSpec:
    lora = compose_config("lora.num_layers=2", "lora.rank=3", "lora.scale=1.7", *overrides).lora
    return spec_for(lora, base.model, base=base.path, base_revision=base.revision)


def _adapter(base: Base, folder: Path, spec: AdapterSpec) -> AdapterFiles:
    """A random one."""
    with attached(base.model, spec, seed=0):
        fresh = adapter_weights(base.model)
    keys = mx.random.split(mx.random.key(3), len(fresh))
    drawn = {
        name: 0.2 * mx.random.normal(value.shape, key=key)
        for (name, value), key in zip(fresh.items(), keys, strict=True)
    }
    folder.mkdir()
    save_weights(folder / WEIGHTS_FILE, drawn, {"step": "7", "run": "r1"})
    save_spec(folder, spec)
    return read_adapter(folder)


def _arrays(path: Path) -> Arrays:
    return dict(mx.load(str(path)))


def _same(one: Path, other: Path) -> bool:
    first, second = _arrays(one), _arrays(other)
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and mx.array_equal(first[name], second[name]).item() for name in first
    )


def _config(folder: Path, **change: Any) -> dict[str, Any]:
    """What a folder's adapter_config.json says, changed by what is given."""
    path = folder / "adapter_config.json"
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) | change
    path.write_text(json.dumps(content), "utf-8")
    return content


def _as_of_peft(base: Base, tmp_path: Path, *overrides: str) -> Path:
    """A folder as peft leaves one: without our word of what it was."""
    write_peft(_adapter(base, tmp_path / "ours", _spec(base, *overrides)), base, tmp_path / "peft")
    file = tmp_path / "peft" / "adapter_model.safetensors"
    mx.save_safetensors(str(file), _arrays(file), {"format": "pt"})
    return tmp_path / "peft"


def _logits(base: Base, adapter: AdapterFiles | None) -> mx.array:
    if adapter is None:
        return base.model(TOKENS)
    with loaded(base.model, adapter):
        logits = base.model(TOKENS)
        mx.eval(logits)
    return logits


def test_factors_stand_transposed_under_pefts_names(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("llama")
    spec = _spec(base, "lora.keys=[self_attn.q_proj,down_proj]", "lora.dropout=0.1")
    ours = _adapter(base, tmp_path / "ours", spec)
    write_peft(ours, base, tmp_path / "peft")
    theirs, mine = _arrays(tmp_path / "peft" / "adapter_model.safetensors"), _arrays(ours.weights)
    assert len(theirs) == len(mine)
    for block, layer in ((2, "self_attn.q_proj"), (3, "mlp.down_proj")):
        there, here = f"base_model.model.model.layers.{block}.{layer}", f"model.layers.{block}.{layer}"
        assert mx.array_equal(theirs[f"{there}.lora_A.weight"], mine[f"{here}.lora_a"].T).item()
        assert mx.array_equal(theirs[f"{there}.lora_B.weight"], mine[f"{here}.lora_b"].T).item()
    said = _config(tmp_path / "peft")
    assert (said["peft_type"], said["r"], said["lora_dropout"], said["use_dora"]) == ("LORA", 3, 0.1, False)
    assert said["lora_alpha"] / said["r"] == spec.scale
    assert said["target_modules"] == [
        f"model.layers.{block}.{layer}" for block in (2, 3) for layer in ("mlp.down_proj", "self_attn.q_proj")
    ]


@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3", "gemma3", "qwen3_5", "qwen3_moe", "gpt_oss", "lfm2_moe"])
def test_there_and_back_every_tensor_has_the_same_bytes(name: str, make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base(name)
    ours = _adapter(base, tmp_path / "ours", _spec(base, "lora.dropout=0.1"))
    write_peft(ours, base, tmp_path / "peft")
    back = read_peft(tmp_path / "peft", "back", cache=tmp_path / "cache")
    assert _same(back.weights, ours.weights)
    assert back.spec == ours.spec and back.iteration == 7 and back.source == "back"


def test_doras_magnitudes_go_there_and_back(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("qwen2")
    ours = _adapter(base, tmp_path / "ours", _spec(base, "lora.fine_tune_type=dora"))
    write_peft(ours, base, tmp_path / "peft")
    theirs = _arrays(tmp_path / "peft" / "adapter_model.safetensors")
    assert "base_model.model.model.layers.3.mlp.up_proj.lora_magnitude_vector" in theirs
    assert _config(tmp_path / "peft")["use_dora"] is True
    back = read_peft(tmp_path / "peft", "back", cache=tmp_path / "cache")
    assert _same(back.weights, ours.weights) and back.spec == ours.spec


@pytest.mark.parametrize(
    ("name", "kind"),
    [("llama", "lora"), ("llama", "dora"), ("qwen3_5", "lora"), ("mixtral", "lora"), ("gpt_oss", "lora")],
)
def test_what_peft_saved_is_written_again_to_the_bit(name: str, kind: str, make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base(name)
    theirs = _as_of_peft(base, tmp_path, f"lora.fine_tune_type={kind}")
    said = _config(theirs)
    read = read_peft(theirs, "theirs", cache=tmp_path / "cache")
    assert read.spec.base == base.path and read.spec.num_layers == 2 and read.spec.scale == 1.7
    write_peft(read, base, tmp_path / "again")
    assert _same(theirs / "adapter_model.safetensors", tmp_path / "again" / "adapter_model.safetensors")
    assert _config(tmp_path / "again") == said


def test_an_adapter_of_stock_mlx_lm_goes_through_all_of_it(make_base: MakeBase, tmp_path: Path) -> None:
    """With its own words: no keys, -1 for every block, nothing of ours."""
    base = make_base("llama")
    model, _ = tiny.tiny_model("llama")
    parameters = {"rank": 4, "scale": 20.0, "dropout": 0.0}
    linear_to_lora_layers(model, -1, parameters)  # a slice from 0 on, so all
    weights = {name: value + 0.1 for name, value in tree_flatten(model.trainable_parameters()) if "lora_" in name}
    (tmp_path / "stock").mkdir()
    mx.save_safetensors(str(tmp_path / "stock" / WEIGHTS_FILE), weights)
    stock = {"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": parameters, "model": base.path}
    (tmp_path / "stock" / "adapter_config.json").write_text(json.dumps(stock))
    ours = read_adapter(tmp_path / "stock")
    write_peft(ours, base, tmp_path / "peft")
    assert len(_config(tmp_path / "peft")["target_modules"]) == 4 * 7
    back = read_peft(tmp_path / "peft", "back", cache=tmp_path / "cache")
    assert _same(back.weights, ours.weights) and back.spec == ours.spec
    assert mx.array_equal(_logits(base, back), _logits(base, ours)).item()


def test_alpha_over_rank_is_the_scale(make_base: MakeBase) -> None:
    for rank in (1, 3, 5, 7, 8, 12, 16, 24, 48, 64):
        for scale in (0.5, 1.0, 2.0, 10.0, 20.0):
            assert alpha_of(scale, rank) / rank == scale and isinstance(alpha_of(2.0, rank), int)
        for scale in (0.1, 1 / 3, 1.7, 20.3):
            assert alpha_of(scale, rank) / rank == pytest.approx(scale, rel=3e-16)


def test_who_changes_alpha_in_the_configuration_is_heard(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("llama")
    write_peft(_adapter(base, tmp_path / "ours", _spec(base)), base, tmp_path / "peft")
    first = read_peft(tmp_path / "peft", "first", cache=tmp_path / "cache")
    _config(tmp_path / "peft", lora_alpha=6, base_model_name_or_path=None)
    second = read_peft(tmp_path / "peft", "second", cache=tmp_path / "cache")
    assert (first.spec.scale, second.spec.scale, second.spec.base) == (1.7, 2.0, None)
    assert second.weights != first.weights and first.weights.exists()


def test_a_folder_is_converted_once(make_base: MakeBase, tmp_path: Path) -> None:
    theirs = _as_of_peft(make_base("llama"), tmp_path)
    first = read_peft(theirs, "a", cache=tmp_path / "cache").weights
    stamp = first.stat().st_mtime_ns
    assert read_peft(theirs, "b", cache=tmp_path / "cache").weights == first and first.stat().st_mtime_ns == stamp


def test_a_folder_of_pefts_is_an_adapter_like_any_other(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("llama")
    theirs = _as_of_peft(base, tmp_path)
    ours = _logits(base, read_adapter(tmp_path / "ours"))
    for path in (theirs, theirs / "adapter_model.safetensors"):
        read = read_adapter(path)
        assert mx.array_equal(_logits(base, read), ours).item()
        assert check_fits(read, _spec(base), base.model) == []  # so training can begin from it


def test_rslora_and_patterns_that_change_nothing_are_read(make_base: MakeBase, tmp_path: Path) -> None:
    theirs = _as_of_peft(make_base("llama"), tmp_path, "lora.rank=4")
    _config(theirs, use_rslora=True, lora_alpha=6)
    assert read_peft(theirs, "a", cache=tmp_path / "cache").spec.scale == 3
    _config(theirs, use_rslora=False, r=2, rank_pattern={".*proj": 4}, alpha_pattern={r"layers\.\d+\..*": 8})
    assert read_peft(theirs, "a", cache=tmp_path / "cache").spec.scale == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"peft_type": "IA3"}, "peft_type must be LORA, but got IA3"),
        ({"modules_to_save": ["lm_head"]}, r'modules_to_save=\["lm_head"\] has no place in an mlx-lm adapter'),
        ({"bias": "lora_only"}, 'bias="lora_only" has no place'),
        ({"lora_bias": True}, "lora_bias=true has no place"),
        ({"layer_replication": [[0, 4], [2, 4]]}, "layer_replication="),
        ({"init_lora_weights": "pissa"}, 'init_lora_weights="pissa"'),
        ({"trainable_token_indices": [1]}, "trainable_token_indices="),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern must leave one rank for all layers, but gives 3 at .*, 8 at "),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern must leave one scale for all layers, but gives "),
        ({"r": 8}, "r must be that of the tensors"),
        ({"r": None}, "is not a LoRA's configuration of PEFT"),
        ({"use_dora": True}, "must have lora_a, lora_b, m where use_dora is true, but has lora_a, lora_b"),
    ],
)
def test_what_an_mlx_lm_adapter_cannot_be_is_refused_by_name(
    change: dict[str, Any], complaint: str, make_base: MakeBase, tmp_path: Path
) -> None:
    theirs = _as_of_peft(make_base("llama"), tmp_path)
    _config(theirs, **change)
    with pytest.raises(HarnessError, match=complaint) as refused:
        read_peft(theirs, "theirs", cache=tmp_path / "cache")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("base_model.model.model.embed_tokens.lora_embedding_A", "lora_embedding_A has no place in an mlx-lm adapter"),
        ("base_model.model.model.visual.blocks.0.attn.qkv.lora_A.weight", "must have lora_a, lora_b"),
        ("base_model.model.lm_head.weight", "lm_head.weight has no place"),
    ],
)
def test_a_tensor_without_a_place_is_refused_by_name(
    name: str, complaint: str, make_base: MakeBase, tmp_path: Path
) -> None:
    theirs = _as_of_peft(make_base("llama"), tmp_path)
    file = theirs / "adapter_model.safetensors"
    mx.save_safetensors(str(file), _arrays(file) | {name: mx.zeros((3, 4))}, {"format": "pt"})
    with pytest.raises(HarnessError, match=complaint):
        read_peft(theirs, "theirs", cache=tmp_path / "cache")


def test_layers_outside_the_text_model_are_refused(make_base: MakeBase, tmp_path: Path) -> None:
    theirs = _as_of_peft(make_base("gemma3"), tmp_path)
    file = theirs / "adapter_model.safetensors"
    seen = {
        f"base_model.model.model.vision_tower.encoder.layers.0.q_proj.lora_{side}.weight": mx.zeros((3, 3))
        for side in "AB"
    }
    mx.save_safetensors(str(file), _arrays(file) | seen, {"format": "pt"})
    with pytest.raises(HarnessError, match="vision_tower.*is not in the text model's blocks"):
        read_peft(theirs, "theirs", cache=tmp_path / "cache")


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    tmp_path = tmp_path / "my 河"
    tmp_path.mkdir()
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    with pytest.raises(HarnessError, match="must hold adapter_model.safetensors beside PEFT's adapter_config.json"):
        read_adapter(tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(
        HarnessError, match=r"as a pickle.*: cd '.*my 河' && python -c .*weights_only=True.*adapter_model\.safetensors"
    ):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("falcon_h1", "a falcon_h1 adapter cannot be converted .*multipliers into the weights.*; use the fused model"),
        ("rwkv7", "a rwkv7 adapter cannot be converted .*: it was not held against a model of transformers"),
        ("mamba2", "peft does not adapt mixer.out_proj of this architecture; export the adapter as fused"),
    ],
)
def test_what_cannot_be_written_is_refused_with_what_to_do(
    name: str, complaint: str, make_base: MakeBase, tmp_path: Path
) -> None:
    base = make_base(name)
    with pytest.raises(HarnessError, match=complaint):
        write_peft(_adapter(base, tmp_path / "ours", _spec(base)), base, tmp_path / "peft")
    assert not (tmp_path / "peft").exists()


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_blocks_that_peft_leaves_out_compute_as_the_base_does(kind: str, make_base: MakeBase, tmp_path: Path) -> None:
    """Blocks 0 and 1 of four, and in block 1 without its MLP: read as the last four."""
    base = make_base("llama")
    theirs = _as_of_peft(base, tmp_path, "lora.num_layers=4", f"lora.fine_tune_type={kind}")
    file = theirs / "adapter_model.safetensors"
    some = {name: value for name, value in _arrays(file).items() if re.search(r"layers\.(0|1\.self_attn)\.", name)}
    mx.save_safetensors(str(file), some, {"format": "pt"})
    read = read_peft(theirs, "theirs", cache=tmp_path / "cache")
    assert read.spec.num_layers == 4
    # the same, said in full: no B where there is nothing, and the base's own magnitude
    full = read_adapter(tmp_path / "ours")
    absent = [name for name in _arrays(full.weights) if re.search(r"layers\.([23]|1\.mlp)\.", name)]
    with attached(base.model, full.spec, seed=0):
        fresh = adapter_weights(base.model)
    said = _arrays(full.weights) | {name: fresh[name] for name in absent}
    (tmp_path / "full").mkdir()
    save_weights(tmp_path / "full" / WEIGHTS_FILE, said, {})
    save_spec(tmp_path / "full", full.spec)
    wanted = _logits(base, read_adapter(tmp_path / "full"))
    assert mx.allclose(_logits(base, read), wanted, atol=1e-6).item()
    with loaded(base.model, full):
        pass
    with loaded(base.model, read):  # after another one, nothing of which may stay
        assert mx.allclose(base.model(TOKENS), wanted, atol=1e-6).item()
    stacked = StackedAdapters(base.model)
    stacked.put(full)
    slots = [stacked.put(read), 0]
    stacked.rows(slots)
    assert mx.allclose(base.model(mx.concatenate([TOKENS, TOKENS]))[:1], wanted, atol=1e-5).item()
    stacked.close()
    write_peft(read, base, tmp_path / "again")
    assert _same(file, tmp_path / "again" / "adapter_model.safetensors")


def test_a_tensor_that_fits_nowhere_is_not_lost_silently(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("llama")
    theirs = _as_of_peft(base, tmp_path)
    file = theirs / "adapter_model.safetensors"
    renamed = {name.replace("q_proj", "query"): value for name, value in _arrays(file).items()}
    mx.save_safetensors(str(file), renamed, {"format": "pt"})
    with pytest.raises(HarnessError, match=r"does not fit: .*query.* but nothing in this adapter"):
        _logits(base, read_peft(theirs, "theirs", cache=tmp_path / "cache"))


def test_bfloat16_is_kept_and_computed_in_float32(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("llama")
    theirs = _as_of_peft(base, tmp_path)
    file = theirs / "adapter_model.safetensors"
    half = {name: value.astype(mx.bfloat16) for name, value in _arrays(file).items()}
    mx.save_safetensors(str(file), half, {"format": "pt"})
    read = read_peft(theirs, "theirs", cache=tmp_path / "cache")
    write_peft(read, base, tmp_path / "again")
    assert _same(file, tmp_path / "again" / "adapter_model.safetensors")
    with loaded(base.model, read):
        assert {value.dtype for value in adapter_weights(base.model).values()} == {mx.float32}


def test_experts_that_an_older_transformers_had_one_by_one_are_stacked(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("mixtral")
    ours = _adapter(base, tmp_path / "ours", _spec(base, "lora.keys=[switch_mlp.gate_proj,switch_mlp.down_proj]"))
    write_peft(ours, base, tmp_path / "peft")
    older: Arrays = {}
    for name, value in _arrays(ours.weights).items():
        block, last, leaf = re.fullmatch(r"model\.layers\.(\d)\..*\.(\w+)\.(\w+)", name).groups()  # type: ignore[union-attr]
        layer = {"gate_proj": "w1", "down_proj": "w2"}[last]
        for expert, each in enumerate(value):
            there = f"base_model.model.model.layers.{block}.block_sparse_moe.experts.{expert}.{layer}"
            older[f"{there}.{leaf[:-1]}{leaf[-1].upper()}.weight"] = each
    mx.save_safetensors(str(tmp_path / "peft" / "adapter_model.safetensors"), older, {"format": "pt"})
    _config(tmp_path / "peft", target_parameters=None, target_modules=["w1", "w2"], rank_pattern={}, alpha_pattern={})
    read = read_peft(tmp_path / "peft", "older", cache=tmp_path / "cache")
    assert _same(read.weights, ours.weights) and set(read.spec.keys) == set(ours.spec.keys)


@pytest.mark.parametrize("name", ["llama", "gemma3", "mistral3"])
def test_an_adapter_of_an_unknown_base_is_put_where_its_names_fit(
    name: str, make_base: MakeBase, tmp_path: Path
) -> None:
    """As one that was trained elsewhere, in a folder that is not here."""
    base = make_base(name)
    theirs = _as_of_peft(base, tmp_path)
    _config(theirs, base_model_name_or_path="/home/somebody/models/x")
    read = read_peft(theirs, "theirs", cache=tmp_path / "cache")
    assert mx.array_equal(_logits(base, read), _logits(base, read_adapter(tmp_path / "ours"))).item()


def test_an_adapter_of_an_unknown_base_is_refused_where_names_alone_do_not_tell(
    make_base: MakeBase, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    theirs = _as_of_peft(make_base("gpt2"), tmp_path / "a")
    _config(theirs, base_model_name_or_path="someone/not-here")
    with pytest.raises(HarnessError, match="is not known here: base_model_name_or_path in .* may name a folder"):
        read_peft(theirs, "theirs", cache=tmp_path / "cache")
    (tmp_path / "b").mkdir()
    theirs = _as_of_peft(make_base("mixtral"), tmp_path / "b")
    _config(theirs, base_model_name_or_path="no name of a hub")
    with pytest.raises(HarnessError, match="r must be that of the tensors.*is not known here"):
        read_peft(theirs, "theirs", cache=tmp_path / "cache")
    with pytest.raises(HarnessError, match="a rwkv7 adapter cannot be converted"):
        _logits(make_base("rwkv7"), _anonymous(make_base("llama"), tmp_path))


def _anonymous(base: Base, tmp_path: Path) -> AdapterFiles:
    theirs = _as_of_peft(base, tmp_path)
    _config(theirs, base_model_name_or_path=None)
    read = read_peft(theirs, "theirs", cache=tmp_path / "cache")
    return replace(read, spec=replace(read.spec, keys=["attn.r_proj"]))


def test_a_text_model_that_is_also_part_of_a_larger_one_is_written_for_both(
    make_base: MakeBase, tmp_path: Path
) -> None:
    base = make_base("qwen3_5")
    ours = _adapter(base, tmp_path / "ours", _spec(base))
    (said,) = write_peft(ours, base, tmp_path / "peft")
    assert "take the folder with-images in it" in said
    for folder, blocks in (
        (tmp_path / "peft", "model.layers"),
        (tmp_path / "peft" / "with-images", "model.language_model.layers"),
    ):
        names = [*_arrays(folder / "adapter_model.safetensors"), *_config(folder)["target_modules"]]
        assert all(name.removeprefix("base_model.model.").startswith(f"{blocks}.") for name in names)
        back = read_peft(folder, "back", cache=tmp_path / "cache")
        assert _same(back.weights, ours.weights) and back.spec == ours.spec


def test_the_head_goes_along(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base("llama")
    spec = replace(_spec(base), keys=["self_attn.q_proj", "lm_head"])
    ours = _adapter(base, tmp_path / "ours", spec)
    write_peft(ours, base, tmp_path / "peft")
    assert "lm_head" in _config(tmp_path / "peft")["target_modules"]
    file = tmp_path / "peft" / "adapter_model.safetensors"
    mx.save_safetensors(str(file), _arrays(file), {"format": "pt"})
    back = read_peft(tmp_path / "peft", "back", cache=tmp_path / "cache")
    assert _same(back.weights, ours.weights) and set(back.spec.keys) == set(spec.keys)
    assert mx.array_equal(_logits(base, back), _logits(base, ours)).item()


def test_the_model_that_a_base_was_made_from_is_named_where_its_card_says_so(
    make_base: MakeBase, tmp_path: Path
) -> None:
    tiny.save("llama", tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("---\nlibrary_name: mlx\nbase_model: some/Original-7B\n---\n# x")
    config = tmp_path / "model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization": {"group_size": 64, "bits": 4}}))
    base = replace(make_base("llama"), folder=tmp_path / "model")
    ours = _adapter(make_base("llama"), tmp_path / "ours", _spec(make_base("llama")))
    assert write_peft(ours, base, tmp_path / "a") == []
    assert _config(tmp_path / "a")["base_model_name_or_path"] == "some/Original-7B"
    assert read_peft(tmp_path / "a", "a", cache=tmp_path / "cache").spec == ours.spec
    write_peft(ours, base, tmp_path / "b", base_name="my/other")
    assert _config(tmp_path / "b")["base_model_name_or_path"] == "my/other"
    (tmp_path / "model" / "README.md").unlink()
    (said,) = write_peft(ours, base, tmp_path / "c")
    assert "which is quantized for MLX: put the name of the model there that it was made from" in said
