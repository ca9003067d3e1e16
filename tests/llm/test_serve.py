"""A local judge is there once it has written, and one that cannot is noticed at once."""

import shutil
import time
from pathlib import Path

import mlx.core as mx
import pytest

from harness.errors import HarnessError
from harness.llm.serve import served
from harness.models.base import Base
from harness.models.served import local_folder


@pytest.fixture
def damaged(base: Base, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base.folder, tmp_path / "damaged"))


def test_a_local_judge_whose_weights_cannot_be_read_is_noticed_at_once(damaged: Path) -> None:
    """Its server would stay up and answer nothing."""
    weights = mx.load(str(damaged / "model.safetensors"))
    assert isinstance(weights, dict)
    weights.pop(next(iter(weights)))
    mx.save_safetensors(str(damaged / "model.safetensors"), weights, metadata={"format": "mlx"})
    began = time.monotonic()
    with (
        pytest.raises(HarnessError, match=r"cannot serve judge.model=.*: .*Missing 1 parameters"),
        served(str(damaged), setting="judge.model"),
    ):
        pass
    assert time.monotonic() - began < 300  # of the 900 s that a server may take to begin


def test_a_local_judge_whose_weights_were_cut_is_noticed_before_its_server_begins(damaged: Path) -> None:
    file = damaged / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(HarnessError, match=r"model.safetensors"):
        local_folder(str(damaged), setting="judge.model")
