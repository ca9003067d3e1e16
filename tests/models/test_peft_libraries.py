"""What is written in PEFT's format, held against peft and transformers themselves on tiny random models.

Left out where peft is not installed: torch is a large download. `pip install '.[peft]'` has both.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

pytest.importorskip("peft", reason="PEFT's own reading is left out: .[peft] is not installed")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch
    import transformers

    from tools.peft.check import check
    from tools.peft.command import NAMES

MOST_USED = ["gemma2", "gemma3", "gpt2", "gpt_oss", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "qwen3_5"]
MOST_USED += ["qwen3_moe", "smollm3"]
OTHERS = sorted(set(NAMES) - set(MOST_USED))


@pytest.fixture(autouse=True)
def quick_and_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels of a model that is used once cost more to compile than they spare."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.filterwarnings("ignore")  # of transformers and torch about themselves
@pytest.mark.parametrize("name", MOST_USED)
def test_peft_puts_our_adapter_on_transformers_model_to_the_same_logits(name: str, tmp_path: Path) -> None:
    found = check(name, tmp_path)
    assert found.agrees, found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3_5"])
def test_and_so_with_dora(name: str, tmp_path: Path) -> None:
    found = check(name, tmp_path, kind="dora")
    assert found.agrees, found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_every_other_architecture_agrees_as_far_as_its_two_models_do(name: str, kind: str, tmp_path: Path) -> None:
    found = check(name, tmp_path, kind=kind)
    assert found.agrees or found.as_bare, found
