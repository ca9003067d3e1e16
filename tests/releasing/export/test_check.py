"""What a card tells a person to type: each command is whole, and asks what the text beside it answers."""

import json
import re
import shlex
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import ModelConfig, TrackingConfig
from harness.models.base import Base, open_base
from harness.releasing.export.run import Order, export
from harness.releasing.export.target import Target
from tests.releasing.export.conftest import MakeAdapter


def _card(adapter: Path, to: str, out: Path, **values: Any) -> str:
    export(Order(reference=str(adapter), target=Target(to), out=out, **values), TrackingConfig(uri=None))
    (card,) = [*out.glob("README.md"), *out.glob("*/*/README.md")]
    return card.read_text("utf-8")


def _blocks(card: str, of: str) -> list[str]:
    return re.findall(rf"```{of}\n(.*?)\n```", card, re.DOTALL)


def _command(card: str, program: str) -> list[str]:
    (found,) = [block for block in _blocks(card, "sh") if block.startswith(program)]
    return shlex.split(found)


def _request(card: str) -> dict[str, Any]:
    return dict(json.loads(_command(card, "curl")[-1]))


@pytest.fixture(scope="module")
def refusing(llama: Base, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A base in a folder with a space, whose chat template refuses a system prompt, as Gemma's does."""
    folder = tmp_path_factory.mktemp("bases") / "my 河 base"
    shutil.copytree(llama.folder, folder)
    said = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    said["chat_template"] = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + str(
        said["chat_template"]
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    return open_base(ModelConfig(path=str(folder), revision=None))


def test_a_system_prompt_that_the_template_refuses_is_part_of_what_is_asked(
    refusing: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(refusing, "prompt=chat", "data.system=Be brief.", "generate.prompts=[-河]", size=0.2)
    asked = _command(_card(adapter, "mlx", tmp_path / "a"), "mlx_lm.generate")
    assert "--prompt=Be brief.\n\n-河" in asked and not any("system" in word for word in asked)
    assert asked[asked.index("--model") + 1] == "path/to/my 河 base"
    talk = _request(_card(adapter, "lmstudio", tmp_path / "b"))["messages"]
    assert talk == [{"role": "user", "content": "Be brief.\n\n-河"}]


def test_a_whole_prompt_goes_without_the_mark_that_tokenizers_put_there(
    llama: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(llama, "prompt.templates={base: '{chat}\\n'}", size=0.2)
    card = _card(adapter, "gguf", tmp_path / "a")
    assert _request(card)["prompt"].startswith("<|h|>") and "/v1/completions" in card


def test_a_system_prompt_that_a_modelfile_cannot_hold_is_in_the_check(
    base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    adapter = make_adapter(base, "prompt=chat", "data.system='say \"yes\"'")
    body = _request(_card(adapter, "ollama", tmp_path / "a"))
    assert body["messages"][0] == {"role": "system", "content": 'say "yes"'}
    assert "SYSTEM" not in (tmp_path / "a" / "Modelfile").read_text("utf-8")


def test_ollama_samples_as_the_harness_does(adapter: Path, tmp_path: Path) -> None:
    _card(adapter, "ollama", tmp_path / "a")
    modelfile = (tmp_path / "a" / "Modelfile").read_text("utf-8")
    assert "PARAMETER repeat_penalty 1\n" in modelfile and "PARAMETER top_k 0\n" in modelfile


def test_an_adapter_is_called_what_it_is_and_its_base_is_found(
    base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    card = _card(make_adapter(base, kind="dora"), "mlx", tmp_path / "a")
    assert "A DoRA adapter in mlx-lm's format" in card
    assert f"--model path/to/mlruns/cache/{base.folder.name} " in card


def test_the_model_that_a_quantized_base_was_made_from_is_asked_for(
    four_bits: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    card = _card(make_adapter(four_bits), "peft", tmp_path / "a")
    assert "base_model_name_or_path says tiny-4bit, which is quantized for MLX" in card


def test_the_script_for_llama_cpp_runs_from_anywhere(adapter: Path, tmp_path: Path) -> None:
    card = _card(adapter, "gguf", tmp_path / "a b")
    tools = tmp_path / "llama.cpp"
    (tools / "build" / "bin").mkdir(parents=True)
    (tmp_path / "河").mkdir()
    for tool in (tools / "build" / "bin" / "llama-quantize", tools / "python"):
        tool.write_text(f'#!/bin/sh\necho "$PWD: $*" >> "{tmp_path}/said"\n', encoding="utf-8")
        tool.chmod(0o755)
    places = {"LLAMA_CPP": "llama.cpp", "BASE": "河", "PATH": f"{tools}:/usr/bin:/bin"}
    subprocess.run(["sh", "a b/convert.sh"], cwd=tmp_path, env=places, check=True, timeout=20)
    said = (tmp_path / "said").read_text("utf-8").splitlines()
    assert len(said) == 3 and all(line.startswith(f"{tmp_path}/a b: ") for line in said)
    assert f"{tools}/convert_lora_to_gguf.py peft --base {tmp_path}/河 --outfile aaaaaaaa-6-lora-f16.gguf" in said[0]
    assert "--lora aaaaaaaa-6-lora-f16.gguf" in " ".join(_command(card, "llama-server"))
    assert "It should answer" in card


@pytest.mark.peft
def test_the_program_in_the_card_writes_the_text_beside_it(
    base: Base, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    card = _card(adapter, "peft", tmp_path / "a")
    (program,), (text, *_) = _blocks(card, "python"), _blocks(card, "text")
    monkeypatch.chdir(tmp_path / "a")
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, of one another
        exec(program.replace(f"path/to/mlruns/cache/{base.folder.name}", str(base.folder)))
    assert capsys.readouterr().out.strip() == text
