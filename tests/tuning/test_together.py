"""Updates of several processes, without a run around them."""

import json
from pathlib import Path

from tests.several import run_several

# trains, then goes on from its middle, in each of two processes; prints what is found. Only the first has the state,
# and only the first is asked whether to stop
PROGRAM = """
import json
from dataclasses import replace
from pathlib import Path
import mlx.core as mx
from harness.config.schema import ModelConfig
from harness.data.dataset import load_split
from harness.errors import DivergedError
from harness.machine.group import ALONE, join
from harness.models.adapter import adapter_weights, attached, spec_for
from harness.models.base import open_base
from harness.tuning.loop import train
from tests.conftest import QUICK, compose_config
from tests.tuning.test_loop import Recorder

group = join()
config = compose_config(*QUICK, "train.iters=4", "train.save_every=2", "lora.dropout=0.3", "data.path=DATA")
base = open_base(ModelConfig(path="builtin:tiny", revision=None))
spec = spec_for(config.lora, base.model, base=base.path, base_revision=base.revision)
splits = [load_split(Path(config.data.path), name, base.tokenizer, labels=None,
    max_seq_length=32, mask_prompt=False) for name in ("train", "valid")]

def trained(settings=config.train, **more):
    recorder = Recorder()
    with attached(base.model, spec, seed=group.rank):
        outcome = train(base.model, *splits, settings, recorder, group=group, **more)
        return recorder, outcome, adapter_weights(base.model)

def same(one, other):
    return all(mx.array_equal(one[name], other[name]).item() for name in one)

recorder, outcome, whole = trained()
middle = recorder.states[2]
resumed = trained(resume=middle if group.rank == 0 else None)
stopped = trained(stop=lambda score: group.rank == 0)[1]
try:
    diverged = str(trained(replace(config.train, learning_rate=1e30))[1])
except DivergedError as error:
    diverged = str(error)
print(json.dumps({
    "diverged": diverged,
    "exact": same(whole, resumed[2]),
    "moved": not same(whole, middle.weights),
    "alike": same(whole, group.share_arrays(whole)),
    "losses": recorder.losses,
    "stopped": [stopped.updates, stopped.pruned],
}))
"""


def test_processes_end_alike_go_on_to_the_byte_and_stop_when_the_first_is_told(tmp_path: Path, poems: Path) -> None:
    """Though each began with other start values and draws its own dropout."""
    for name, rows in (("train", 5), ("valid", 3)):
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines()[:rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    ended = run_several([["-c", PROGRAM.replace("DATA", str(tmp_path))]] * 2, tmp_path)
    assert [each.returncode for each in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    first, second = (json.loads(each.stdout) for each in ended)
    assert first == second and first["exact"] and first["moved"] and first["alike"]
    assert len(first["losses"]) == 4 and first["stopped"] == [2, True]
    assert "must be a finite number" in first["diverged"]
