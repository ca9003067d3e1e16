"""What is written in PEFT's format, held against peft and transformers themselves on tiny random models.

They need torch, which lies in an environment of its own (`make peft`): what is marked so runs there, in one process for
all, and is left out where there is none.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.paths import ROOT
from harness.models.peft_architectures import AGREEING, NAMINGS

PYTHON = ROOT / ".venv-peft" / "bin" / "python"
HERE = find_spec("peft") is not None
MARKED = ["tests/models/test_peft_libraries.py", "tests/releasing/export/test_export.py"]
MOST_USED = ["gemma2", "gemma3", "gpt2", "gpt_oss", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "qwen3_5"]
MOST_USED += ["qwen3_moe", "smollm3"]
OTHERS = sorted((AGREEING | NAMINGS.keys()) - set(MOST_USED))


@pytest.mark.skipif(HERE, reason="peft is installed here, so the tests for it run by themselves")
@pytest.mark.skipif(not (PYTHON.parents[1] / ".installed").exists(), reason="peft is not installed: make peft")
def test_what_needs_peft_passes_in_its_environment() -> None:
    command = [str(PYTHON), "-m", "pytest", "-n", "0", "-m", "peft and not slow", *MARKED]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr
    assert " skipped" not in ended.stdout


def test_the_page_names_each_architecture_that_is_converted() -> None:
    page = (ROOT / "docs" / "peft.md").read_text("utf-8")
    assert [name for name in [*MOST_USED, *OTHERS] if f"| `{name}` | " not in page] == []


@pytest.fixture
def quiet() -> Iterator[None]:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    mx.disable_compile()  # kernels of a model that is used once cost more to compile than they spare
    yield
    mx.enable_compile()


# transformers and torch have warnings about themselves
_OF_PEFT = [
    pytest.mark.peft,
    pytest.mark.skipif(not HERE, reason="peft is not installed here"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("quiet"),
]


def of_peft(test: Callable[..., None]) -> Callable[..., None]:
    for mark in _OF_PEFT:
        test = mark(test)
    return test


@of_peft
@pytest.mark.parametrize("name", MOST_USED)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_peft_puts_our_adapter_on_transformers_model_to_the_same_logits(name: str, kind: str, tmp_path: Path) -> None:
    """And what peft saves of it is read back the same to the bit."""
    from tools.peft.check import check

    found = check(name, tmp_path, kind=kind)
    assert found.agrees, found


@of_peft
@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_every_other_architecture_agrees_as_far_as_its_two_models_do(name: str, kind: str, tmp_path: Path) -> None:
    from tools.peft.check import check

    found = check(name, tmp_path, kind=kind)
    assert found.agrees or found.as_bare, found
