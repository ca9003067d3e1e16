"""Architectures of several kinds through what `make architectures` tries on all of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.adapter import adapter_weights, attached, spec_for
from harness.models.base import open_base
from harness.tuning.engine import Engine, disagreement
from tests.conftest import compose_config
from tools.architectures import table, tiny
from tools.architectures.case import Case
from tools.architectures.checks import CHECKS, Grade, Outcome, outcome_of

# what is not as with any other: computed whole, with the reason
SAMPLE: dict[str, dict[str, str]] = {
    "gpt_oss": {},  # experts, sliding windows and sinks
    "granitemoehybrid": {},  # state spaces, experts, scaled logits
    "lfm2": {},  # convolutions
    "nemotron_h": {},  # a block is a state space, attention or an MLP
    "gemma4": {},  # blocks hand on keys and values
    "gemma2": {"batches": "texts are written one by one: with mlx-lm's gemma2, "},
    "rwkv7": dict.fromkeys(("cut", "4 bits"), "its blocks hand on more than hidden states") | {"last block": ""},
    "gemma3n": dict.fromkeys(("head", "last block", "4 bits"), "its last block gives more than one vector a position"),
}


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Kernels of a model that is used once cost more to compile than they spare."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.parametrize(("name", "whole"), SAMPLE.items())
def test_it_trains_writes_resumes_and_fuses_whole_or_with_what_can_be_left_out(
    name: str, whole: dict[str, str], tmp_path: Path
) -> None:
    case = Case(name, tmp_path)
    found = {check: outcome_of(of, case) for check, of in CHECKS.items()}
    assert {check for check, outcome in found.items() if outcome.grade is not Grade.YES} == whole.keys()
    for check, why in whole.items():
        assert found[check].grade is Grade.WHOLE and found[check].why.startswith(why)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("recurrent_gemma", {}), ("olmo", {}), ("llama4", {"text_config": {}})],
)
def test_a_model_that_mlx_lm_cannot_make_is_refused_in_a_line(
    name: str, settings: dict[str, object], tmp_path: Path
) -> None:
    """By whatever kind of error: settings that are missing, a class that does not work, a package that is not there."""
    tiny.save("llama", tmp_path)
    of_llama = tiny.settings_of("llama")
    (tmp_path / "config.json").write_text(json.dumps({**of_llama, "model_type": name, **settings}))
    with pytest.raises(HarnessError, match="cannot be loaded by mlx-lm: "):
        _ = open_base(ModelConfig(path=str(tmp_path), revision=None)).model


@pytest.mark.parametrize(
    ("name", "shared", "differs"),
    [("gemma4_text", 0, False), ("gemma4_text", 2, True), ("hunyuan", 0, False)],
)
def test_a_cut_is_refused_where_blocks_above_it_need_keys_and_values_of_one_below(
    name: str, shared: int, differs: bool, tmp_path: Path
) -> None:
    """Gemma 4's small models share them over the last blocks, Hunyuan's two by two, so not across this cut."""
    model, _ = tiny.tiny_model(name, **({"num_kv_shared_layers": shared} if shared else {}))
    spec = spec_for(compose_config("lora.num_layers=2", "lora.rank=4").lora, model, base=name, base_revision="")
    with attached(model, spec, seed=0):
        drawn = {key: 0.1 * mx.random.normal(value.shape) for key, value in adapter_weights(model).items()}
        model.load_weights(list(drawn.items()), strict=False)
        found = disagreement(model, Engine(2, on_targets=True), Case(name, tmp_path).rows)
    assert (found is not None) == differs


@pytest.mark.parametrize(
    ("preset", "name"),
    [("gpt-oss-20b", "gpt_oss"), ("qwen3-30b-a3b-4bit", "qwen3_moe"), ("qwen3.5-35b-a3b-4bit", "qwen3_5_moe")],
)
def test_presets_with_experts_adapt_them_and_leave_what_chooses_them(preset: str, name: str) -> None:
    model, _ = tiny.tiny_model(name)
    lora = compose_config(f"model={preset}").lora
    keys = spec_for(lora, model, base=name, base_revision="").keys
    last = {key.rpartition(".")[2] for key in keys}
    assert {"q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"} <= last
    assert any(".experts." in key or ".switch_mlp." in key for key in keys)
    assert not last & {"gate", "router", "shared_expert_gate"}
    assert lora.rank == 4


def test_the_page_gives_each_reason_once_and_tells_faults() -> None:
    fine = {check: Outcome(Grade.YES) for check in CHECKS}
    whole = fine | dict.fromkeys(("cut", "head"), Outcome(Grade.WHOLE, "it cannot"))
    found = {"b": whole, "a": fine | {"fuses": Outcome(Grade.FAULT, "it ends | with that")}}
    page = table.page(found, {"c": "a package"}, "1.2").splitlines()
    assert page[-2] == "| `a` | yes | yes | yes | yes | yes | yes | fault | yes | fuses: it ends \\| with that |"
    assert page[-1] == "| `b` | yes | whole | whole | yes | yes | yes | yes | yes | cut, head: it cannot |"
    assert table.faults(found) == ["a, fuses: it ends | with that"]


def test_no_architecture_of_mlx_lm_is_forgotten() -> None:
    assert set(tiny.MODELLED) | set(tiny.WITHOUT) == set(tiny.EVERY)
    page = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text("utf-8")
    assert not [name for name in tiny.EVERY if f"`{name}`" not in page]
