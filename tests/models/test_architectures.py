"""Architectures of several kinds through what `make architectures` tries on all of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.base import open_base
from tools.architectures import tiny
from tools.architectures.case import Case
from tools.architectures.checks import CHECKS, Grade, outcome_of


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Kernels of a model that is used once cost more to compile than they spare."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.parametrize(("name", "settings"), [("recurrent_gemma", {}), ("llama4", {"text_config": {}})])
def test_a_model_that_mlx_lm_cannot_make_is_refused_in_a_line(
    name: str, settings: dict[str, object], tmp_path: Path
) -> None:
    """By whatever kind of error: settings that are missing, a class that does not work in this version."""
    tiny.save("llama", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**tiny.settings_of(name), **settings}))
    with pytest.raises(HarnessError, match="cannot be loaded by mlx-lm: "):
        _ = open_base(ModelConfig(path=str(tmp_path), revision=None)).model
