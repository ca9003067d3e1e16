"""What a run is gone on with is what it was left with, or it is refused."""

from pathlib import Path

import mlx.core as mx
import pytest

from harness.errors import DamagedError
from harness.tuning.evaluate import Score
from harness.tuning.state import Course, LoopState, load_state, save_state

SCORE = Score(step=3, loss=1.25, seconds=0.5, position_seconds=0.001)
COURSE = Course(
    step=3,
    start=SCORE,
    last=SCORE,
    best=SCORE,
    stale=0,
    train_seconds=2.5,
    window_loss=0.0,
    window_targets=0,
    window_seconds=0.0,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    weights = {f"layers.{block}.lora_{side}": mx.random.normal((8, 4)) for block in range(2) for side in "ab"}
    optimizer = {"step": mx.array(3, mx.uint64), **{f"{name}.m": 2 * value for name, value in weights.items()}}
    path = tmp_path / "state.safetensors"
    save_state(path, LoopState(COURSE, weights, optimizer, 123456789))
    return path


def test_a_state_comes_back_as_it_was(saved: Path) -> None:
    state = load_state(saved)
    assert (state.course, state.random) == (COURSE, 123456789)
    assert state.optimizer["step"].item() == 3 and len(state.weights) == 4


@pytest.mark.parametrize("region", ["length", "header", "weights", "optimizer", "last byte"])
def test_a_changed_byte_anywhere_is_noticed_with_what_can_be_done(region: str, saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    middle = begin + (len(content) - begin) // 2
    place = {"length": 0, "header": 300, "weights": middle - 8, "optimizer": middle + 8, "last byte": -1}[region]
    content[place] ^= 4
    saved.write_bytes(content)
    with pytest.raises(
        DamagedError, match="is not a readable training state.*start it anew, or from its last"
    ) as caught:
        load_state(saved)
    assert caught.value.path == saved


def test_a_state_of_a_version_that_did_not_seal_is_read(saved: Path) -> None:
    arrays, notes = mx.load(str(saved), return_metadata=True)
    notes.pop("checksum")
    mx.save_safetensors(str(saved), arrays, notes)
    assert load_state(saved).course == COURSE
