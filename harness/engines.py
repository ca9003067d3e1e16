"""Which parts of a step a run can leave out, with the reason where it cannot."""

import shutil

from harness.config.checks import total_updates
from harness.config.paths import MLRUNS
from harness.config.schema import Config
from harness.material import Material
from harness.progress import Display
from harness.trunks import Trunks
from harness.tuning.engine import CHECKED_ROWS, Engine, disagreement, first_adapted
from harness.tuning.hidden import hidden_bytes
from harness.tuning.memory import ModelShape


def planned_cut(config: Config, material: Material, shape: ModelShape) -> tuple[int, str]:
    """The block that a step can begin with, and why, when it is 0: the first."""
    settings, rows = config.train, len(material.train.rows)
    if settings.trunk_cache is False:
        return 0, "train.trunk_cache=false"
    at = first_adapted(material.base.model, material.spec)
    if at == 0:
        return 0, "every block is adapted, or a layer outside the blocks"
    trained = total_updates(settings, rows) * settings.grad_accumulation_steps * settings.batch_size
    if trained < rows:
        return 0, "less than an epoch to train"
    need = sum(hidden_bytes(split.rows, shape.hidden, shape.item) for split in (material.train, material.valid))
    if need > settings.trunk_cache_gb * 1e9:
        limit = f"train.trunk_cache_gb={settings.trunk_cache_gb:g}"
        return 0, f"what the frozen blocks make of the rows would take {need / 1e9:.1f} GB, beyond {limit}"
    free = shutil.disk_usage(MLRUNS.parent).free
    if 2 * need > free:  # while it is computed there are two files
        what = "what the frozen blocks make of the rows"
        return 0, f"{what} needs {2 * need / 1e9:.1f} GB of disk, but {free / 1e9:.1f} GB are free"
    return at, ""


def prepare_engine(
    config: Config, material: Material, cut: tuple[int, str], trunks: Trunks, display: Display
) -> Engine:
    """Compare a step that leaves things out with one of the whole model, and compute what it begins with.

    The adapter must be attached. What does not agree is not left out. Afterwards no weights below the cut are held.
    """
    at, why_not = cut
    base, rows = material.base, material.train.rows[:CHECKED_ROWS]
    on_targets = config.train.head_on_targets
    if at and (differs := disagreement(base.model, Engine(at), rows)):
        at, why_not = 0, f"this model cannot be cut, {differs}"
    if on_targets and (differs := disagreement(base.model, Engine(0, True), rows)):
        on_targets = False
        display.say(f"the head is computed for all positions: {differs}")
    if at == 0:
        display.say(f"all blocks are computed in every step: {why_not}")
        return Engine(0, on_targets)
    release = base.releaser()
    for block in range(-1, at):  # -1: what is outside the blocks
        release(block)
    hidden = {split.name: trunks.get(base, split, at, display) for split in (material.train, material.valid)}
    release(-1)
    trunks.keep_under(round(config.train.trunk_cache_gb * 1e9))
    display.say(f"steps begin at block {at} of {base.num_blocks}: what the frozen ones make of each row is kept")
    return Engine(at, on_targets, hidden)
