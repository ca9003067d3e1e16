"""What is written in PEFT's format, held against peft and transformers themselves on tiny random models.

In one process for all of them, with an environment of its own where torch is installed: `make peft` makes it. Left out
where there is none.
"""

import json
import os
import subprocess

import pytest

from harness.config.paths import ROOT
from harness.models.peft_architectures import AGREEING, NAMINGS

PYTHON = ROOT / ".venv-peft" / "bin" / "python"
MOST_USED = ["gemma2", "gemma3", "gpt2", "gpt_oss", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "qwen3_5"]
MOST_USED += ["qwen3_moe", "smollm3"]
OTHERS = sorted((AGREEING | NAMINGS.keys()) - set(MOST_USED))

pytestmark = pytest.mark.skipif(
    not (PYTHON.parents[1] / ".installed").exists(), reason="peft and torch are not installed: make peft"
)


def _tried(names: list[str]) -> dict[str, dict[str, str]]:
    words = [word for name in names for word in ("--only", name)]
    command = [str(PYTHON), "-W", "ignore", "-m", "tools.peft", "--json", *words]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return {row["name"]: row for row in rows}


def test_peft_puts_our_adapters_on_transformers_models_to_the_same_logits() -> None:
    """LoRA and DoRA, and what peft saves of them is read back the same to the bit."""
    found = _tried(MOST_USED)
    assert list(found) == MOST_USED
    assert [row for row in found.values() if (row["lora"], row["dora"]) != ("yes", "yes")] == []


@pytest.mark.slow
def test_all_others_agree_as_far_as_the_two_models_do() -> None:
    found = _tried(OTHERS)
    assert [row for row in found.values() if "no" in (row["lora"], row["dora"])] == []


def test_the_page_names_each_of_them() -> None:
    page = (ROOT / "docs" / "peft.md").read_text("utf-8")
    assert [name for name in [*MOST_USED, *OTHERS] if f"| `{name}` | " not in page] == []
