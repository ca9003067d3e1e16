"""From an adapter to what other programs read: written, loaded again by mlx-lm, with its card, or not at all."""

import json
import os
import re
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
import pytest
import yaml
from click.testing import CliRunner

from harness.config.paths import ROOT
from harness.config.schema import ModelConfig, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.export import main
from harness.models.adapter import loaded, save_weights
from harness.models.adapter_files import WEIGHTS_FILE
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.models.tensors import load_arrays
from harness.releasing.export.run import Order, export
from harness.releasing.export.target import Target
from tests.releasing.export.conftest import MakeAdapter
from tools.architectures import tiny

TOKENS = mx.array([[5, 6, 7, 8, 9, 10]])


def _export(adapter: Path, to: str, out: Path, **values: Any) -> Path:
    return export(Order(reference=str(adapter), target=Target(to), out=out, **values), TrackingConfig(uri=None))


def _head(folder: Path) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    assert found is not None
    return dict(yaml.safe_load(found[1]))


def _logits(base: Base, adapter: Path) -> mx.array:
    with loaded(base.model, read_adapter(adapter)):
        return base.model(TOKENS)


def _says_no_path_of_this_machine(folder: Path, *secret: Path) -> bool:
    said = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    places = [str(place).encode() for place in (ROOT, Path.home(), folder.parent, *secret)]
    return not any(place in content for content in said for place in places)


def test_mlx_has_the_adapter_whole(base: Base, adapter: Path, tmp_path: Path, capsys: Any) -> None:
    out = _export(adapter, "mlx", tmp_path / "a")
    model, _ = mlx_lm.load(str(base.folder), adapter_path=str(out))
    assert mx.array_equal(model(TOKENS), _logits(base, adapter)).item()
    head = _head(out)
    assert (head["base_model"], head["library_name"], head["base_model_relation"]) == ("builtin:tiny", "mlx", "adapter")
    assert head["datasets"] == ["data"] and head["training_data"] == [
        {"name": "data", "split": "train", "digest": "d" * 32}
    ]
    said = capsys.readouterr().out
    assert "loss on 4 validation rows" in said and "keeps 100.0%" in said and "1 of 1 greedy texts stay" in said
    card = (out / "README.md").read_text("utf-8")
    assert "validation loss of exactly these weights (`valid/loss`): 6.5000" in card and "keeps 100.0%" in card
    assert _says_no_path_of_this_machine(out)


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_fused_needs_no_adapter(kind: str, base: Base, make_adapter: MakeAdapter, tmp_path: Path) -> None:
    adapter = make_adapter(base, kind=kind)
    out = _export(adapter, "fused", tmp_path / "a")
    model, tokenizer = mlx_lm.load(str(out))
    assert mx.allclose(model(TOKENS), _logits(base, adapter), atol=1e-3).item()
    assert tokenizer.encode("河") == base.tokenizer.mlx_lm.encode("河")
    assert _head(out)["base_model_relation"] == "finetune" and _says_no_path_of_this_machine(out)


@pytest.mark.parametrize(
    ("bits", "found"),
    [(None, {4}), ("8", {8}), ("mixed", {4, 8}), ("full", {None}), ("mixed_4_6", {4, 6})],
)
def test_a_fused_model_is_quantized_as_asked(
    bits: str | None, found: set[int | None], four_bits: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(four_bits, size=0.3)
    given = {} if bits in (None, "full") else {"group_size": 32}
    out = _export(adapter, "fused", tmp_path / "a", bits=bits, **given)
    model, _ = mlx_lm.load(str(out))
    layers = [
        module for _, module in model.named_modules() if hasattr(module, "to_quantized") or hasattr(module, "bits")
    ]
    assert {getattr(layer, "bits", None) for layer in layers} == found
    if bits == "mixed":
        last = model.layers[-1]
        assert (last.self_attn.q_proj.bits, last.self_attn.k_proj.bits) == (8, 4)
    head = _head(out)
    assert (head["license"], head["language"]) == ("apache-2.0", ["zh", "en"])
    assert head["base_model"] == "tiny-4bit" and _says_no_path_of_this_machine(out, four_bits.folder)


def test_of_a_base_in_full_precision_mixed_keeps_the_adapted_layers(
    base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    out = _export(make_adapter(base, size=0.3), "fused", tmp_path / "a", bits="mixed", group_size=32)
    last = mlx_lm.load(str(out))[0].layers[-1]
    assert (last.self_attn.q_proj.bits, last.self_attn.k_proj.bits) == (8, 4)


def test_an_adapter_that_quantizing_loses_is_not_written_and_what_keeps_it_is_measured(
    four_bits: Base, make_adapter: MakeAdapter, tmp_path: Path, capsys: Any
) -> None:
    adapter = make_adapter(four_bits, size=0.0015)
    offered = r"keeps \d+% of the adapter's effect.*; --bits=mixed keeps \d+%.*, --bits=full keeps \d+%"
    with pytest.raises(HarnessError, match=offered):
        _export(adapter, "fused", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    said = " ".join(capsys.readouterr().err.split())
    assert "mlx_lm.dwq --model full-model --bits 4 --group-size 32 --mlx-path few-bits" in said


def test_a_base_in_a_folder_is_named_and_its_place_is_not(
    four_bits: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(four_bits)
    out = _export(adapter, "mlx", tmp_path / "a")
    assert read_adapter(out).spec.base is None
    weights, metadata = load_arrays(out / WEIGHTS_FILE)
    assert metadata["run"] == "a" * 32 and "base" not in metadata
    before, _ = load_arrays(adapter / WEIGHTS_FILE)
    assert all(mx.array_equal(weights[name], value).item() for name, value in before.items())
    assert _says_no_path_of_this_machine(out, four_bits.folder)


def test_what_the_chat_template_is_given_is_said(base: Base, make_adapter: MakeAdapter, tmp_path: Path) -> None:
    adapter = make_adapter(base, "prompt=chat")
    said = json.loads((adapter / "adapter_config.json").read_text("utf-8")) | {"template_args": {"slow": False}}
    (adapter / "adapter_config.json").write_text(json.dumps(said), encoding="utf-8")
    card = (_export(adapter, "mlx", tmp_path / "a") / "README.md").read_text("utf-8")
    assert """--chat-template-config '{"slow": false}'""" in card
    assert read_adapter(tmp_path / "a").spec.template_args == {"slow": False}


def test_lmstudio_gets_publisher_and_model_with_a_check(base: Base, adapter: Path, tmp_path: Path) -> None:
    out = _export(adapter, "lmstudio", tmp_path / "a")
    (model,) = out.glob("*/*")
    assert model == out / "lora-harness" / "aaaaaaaa-6"
    mlx_lm.load(str(model))
    card = (model / "README.md").read_text("utf-8")
    assert "~/.lmstudio/models" in card and '"temperature": 0' in card and "It should answer" in card


def test_ollama_gets_a_template_system_and_stop_marks(base: Base, make_adapter: MakeAdapter, tmp_path: Path) -> None:
    adapter = make_adapter(base, "prompt=chat", "data.system=Write a 'poem'.")
    out = _export(adapter, "ollama", tmp_path / "a")
    modelfile = (out / "Modelfile").read_text("utf-8")
    assert modelfile.startswith('FROM ./model\nTEMPLATE """{{ range $i, $m := .Messages }}')
    assert 'SYSTEM """Write a \'poem\'."""\nPARAMETER stop "<|im_end|>"\n' in modelfile
    mlx_lm.load(str(out / "model"))
    assert "/api/chat" in (out / "README.md").read_text("utf-8")


def test_ollama_asks_as_the_run_did_where_that_is_no_chat(
    base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    one = _export(make_adapter(base, "prompt=questions"), "ollama", tmp_path / "a") / "Modelfile"
    assert 'TEMPLATE """{{ "Q: " }}{{ .Prompt }}{{ "\\nA:" }}{{ .Response }}"""' in one.read_text("utf-8")
    other = _export(make_adapter(base, "prompt.templates={base: '{chat}\\n'}"), "ollama", tmp_path / "b")
    assert 'TEMPLATE """{{ .Prompt }}"""' in (other / "Modelfile").read_text("utf-8")
    assert '"raw": true' in (other / "README.md").read_text("utf-8")


def test_gguf_of_a_llama_holds_the_fused_weights_and_ranks_of_merges(
    llama: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(llama, size=0.2)
    out = _export(adapter, "gguf", tmp_path / "a")
    (file,) = out.glob("*.gguf")
    tensors, said = mx.load(str(file), return_metadata=True)
    assert "blk.1.attn_q.weight" in tensors and "output.weight" in tensors
    scores = dict(zip(said["tokenizer.ggml.tokens"], said["tokenizer.ggml.scores"].tolist(), strict=True))
    merges = json.loads((llama.folder / "tokenizer.json").read_text("utf-8"))["model"]["merges"]
    made = ["".join(merge) for merge in merges]
    assert [scores[token] for token in made] == sorted((scores[token] for token in made), reverse=True)
    assert scores["<0x41>"] < scores[made[-1]] and "trim" in said["tokenizer.chat_template"]
    assert said["tokenizer.ggml.add_bos_token"].item()
    assert "llama-server -m aaaaaaaa-6.gguf" in (out / "README.md").read_text("utf-8")
    assert _says_no_path_of_this_machine(out, llama.folder)


def test_ollama_of_a_llama_stands_on_gguf_without_a_second_beginning(
    llama: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    out = _export(make_adapter(llama, "prompt=chat", size=0.2), "ollama", tmp_path / "a")
    modelfile = (out / "Modelfile").read_text("utf-8")
    assert "FROM ./aaaaaaaa-6.gguf" in modelfile and '{{ "<|h|>user<|/h|>\\n\\n" }}' in modelfile
    assert "<s> is left out" in modelfile and '"<s><|h|>' not in modelfile
    assert "white space" in modelfile


def test_gguf_of_others_is_a_script_for_llama_cpp(base: Base, adapter: Path, tmp_path: Path) -> None:
    out = _export(adapter, "gguf", tmp_path / "a")
    script = (out / "convert.sh").read_text("utf-8")
    assert "convert_lora_to_gguf.py" in script and "convert_hf_to_gguf.py" in script
    assert os.access(out / "convert.sh", os.X_OK) and (out / "peft" / "adapter_config.json").is_file()
    assert "this is qwen2" in (out / "README.md").read_text("utf-8")


def test_gguf_of_what_llama_cpp_has_no_adapter_for_is_a_whole_model(
    base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    out = _export(make_adapter(base, kind="dora"), "gguf", tmp_path / "a")
    script = (out / "convert.sh").read_text("utf-8")
    assert 'convert_hf_to_gguf.py" model --outfile' in script and "convert_lora" not in script
    assert _head(out)["base_model_relation"] == "finetune"
    assert "llama.cpp's adapters have no DoRA" in (out / "README.md").read_text("utf-8")
    mlx_lm.load(str(out / "model"))


def test_peft_is_read_again(four_bits: Base, make_adapter: MakeAdapter, tmp_path: Path) -> None:
    out = _export(make_adapter(four_bits), "peft", tmp_path / "a")
    assert (out / "adapter_config.json").is_file() and _head(out)["library_name"] == "peft"
    assert "not read by peft itself" in (out / "README.md").read_text("utf-8")
    assert _says_no_path_of_this_machine(out, four_bits.folder)


@pytest.mark.peft
def test_peft_itself_makes_the_same_of_it(adapter: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    out = _export(adapter, "peft", tmp_path / "a")
    card = (out / "README.md").read_text("utf-8")
    assert "read again by peft and transformers" in card and "1 of 1 greedy texts stay the same" in card


@pytest.mark.peft
def test_peft_is_not_asked_on_a_base_that_mlx_lm_laid_out(make_adapter: MakeAdapter, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    tiny.save("qwen3_moe", tmp_path / "moe")
    base = open_base(ModelConfig(path=str(tmp_path / "moe"), revision=None))
    out = _export(make_adapter(base, record=False, keys=None), "peft", tmp_path / "a")
    assert "not read by peft itself: transformers does not find" in (out / "README.md").read_text("utf-8")


class _Interrupted(Display):
    def say(self, text: str) -> None:
        if text.startswith("working"):
            raise KeyboardInterrupt


def test_an_export_that_is_interrupted_leaves_nothing(adapter: Path, tmp_path: Path) -> None:
    order = Order(reference=str(adapter), target=Target.FUSED, out=tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        export(order, TrackingConfig(uri=None), _Interrupted())
    assert list(tmp_path.iterdir()) == []


def test_a_strangers_adapter_is_proved_on_its_own_texts(base: Base, make_adapter: MakeAdapter, tmp_path: Path) -> None:
    adapter = make_adapter(base, record=False)
    (adapter / "adapter_config.json").write_text(
        (adapter / "adapter_config.json").read_text("utf-8").replace('"builtin:tiny"', "null"), encoding="utf-8"
    )
    with pytest.raises(HarnessError, match="give it with --model"):
        _export(adapter, "mlx", tmp_path / "a")
    (adapter / "adapter_config.json").write_text(
        (adapter / "adapter_config.json").read_text("utf-8").replace(": null", ': "/gone/base"'), encoding="utf-8"
    )
    with pytest.raises(HarnessError, match="no longer at /gone/base; say with --model where it is now"):
        _export(adapter, "mlx", tmp_path / "a")
    out = _export(adapter, "mlx", tmp_path / "a", model="builtin:tiny", prompts=["河", "灯"])
    card = (out / "README.md").read_text("utf-8")
    assert "loss on the adapter's own 2 greedy texts" in card and "no record of its data" in card
    assert "datasets" not in _head(out)


def test_an_adapter_of_stock_mlx_lm_names_no_layers_and_means_all(
    base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(base, record=False, keys=None)
    said = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    del said["lora_parameters"]["keys"]
    (adapter / "adapter_config.json").write_text(json.dumps(said), encoding="utf-8")
    out = _export(adapter, "mlx", tmp_path / "a")
    model, _ = mlx_lm.load(str(base.folder), adapter_path=str(out))
    assert mx.array_equal(model(TOKENS), _logits(base, adapter)).item()
    again = _export(out, "fused", tmp_path / "b")
    assert mx.allclose(mlx_lm.load(str(again))[0](TOKENS), _logits(base, adapter), atol=1e-3).item()


def test_data_that_has_gone_is_said(base: Base, make_adapter: MakeAdapter, tmp_path: Path, capsys: Any) -> None:
    adapter = make_adapter(base, f"data.path={tmp_path / 'gone'}")
    out = _export(adapter, "mlx", tmp_path / "a")
    assert "the validation data cannot be read" in capsys.readouterr().err
    card = (out / "README.md").read_text("utf-8")
    assert "the validation data cannot be read" in card and str(tmp_path) not in card


def test_an_adapter_that_computes_no_numbers_is_refused(base: Base, adapter: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    weights, metadata = load_arrays(adapter / WEIGHTS_FILE)
    save_weights(broken / WEIGHTS_FILE, {name: value * mx.nan for name, value in weights.items()}, metadata)
    (broken / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    with pytest.raises(HarnessError, match="no number"):
        _export(broken, "mlx", tmp_path / "a")
    assert [file.name for file in tmp_path.iterdir()] == ["broken"]


def test_what_is_there_stays_and_is_said_in_a_line(adapter: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    named = CliRunner().invoke(main, [str(adapter), "--to", "fused", "--bits", "full"])
    assert named.stdout.startswith("aaaaaaaa-6-fused-full: a model")
    words = [str(adapter), "--to", "mlx"]
    assert CliRunner().invoke(main, words).exit_code == 0
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert again.stderr.splitlines()[-1].startswith("error: --out=aaaaaaaa-6-mlx must not be there yet")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"to": "mlx", "bits": "8"}, "go with --to=fused or lmstudio"),
        ({"to": "fused", "bits": "7"}, "--bits must be one of"),
        ({"to": "fused", "bits": ""}, "--bits must be one of"),
        ({"to": "fused", "group_size": 32}, "needs --bits"),
        ({"to": "mlx", "group_size": 0}, "go with --to=fused or lmstudio"),
        ({"to": "mlx", "prompts": ["河", " "]}, "--prompt must not be empty"),
        ({"to": "mlx", "model": ""}, "--model must not be empty"),
        ({"to": "fused", "bits": "8", "group_size": 48}, "--group-size must be one of"),
        ({"to": "mlx", "out": "none/there"}, "must be in a folder that exists"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], why: str, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / values.pop("out", "a")
    with pytest.raises(HarnessError, match=re.escape(why)):
        _export(adapter, values.pop("to"), out, **values)
    assert list(tmp_path.iterdir()) == []
