"""Which unfinished run to go on with, and what it left in its folder."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.config.schema import Config
from harness.errors import HarnessError
from harness.identity import Parts, differences, identity_of
from harness.tracking.overview import get, unfinished
from harness.tracking.store import Store
from harness.tuning.state import LoopState, load_state

PARTS_FILE = "identity.json"
STATE_FILE = "state.safetensors"
LOCK_FILE = ".lock"


@dataclass(frozen=True)
class Unfinished:
    run_id: str
    state: LoopState


def find_unfinished(config: Config, store: Store, experiment_id: str, parts: Parts) -> Unfinished | None:
    """The run that train.resume means: the one named, or with auto the newest of the same identity, if any.

    Raises:
        HarnessError: when the run named cannot be gone on with, and why.
    """
    wanted = config.train.resume
    if wanted is False:
        return None
    if wanted == "auto":
        candidates = unfinished(store, experiment_id, identity_of(parts))
        run_id = next((each for each in candidates if (store.runs / each / STATE_FILE).exists()), None)
        return None if run_id is None else Unfinished(run_id, load_state(store.runs / run_id / STATE_FILE))
    _refuse_other(wanted, store, parts)
    return Unfinished(wanted, load_state(store.runs / wanted / STATE_FILE))


def _refuse_other(run_id: str, store: Store, parts: Parts) -> None:
    run, folder = get(store, run_id), store.runs / run_id
    if run.status == "FINISHED":
        raise HarnessError(
            f"train.resume={run_id} names a run that is finished; leave train.resume=false for a new one"
        )
    if not (folder / PARTS_FILE).exists():
        raise HarnessError(f"train.resume={run_id} must have its folder here, but {folder} does not hold it")
    there = json.loads((folder / PARTS_FILE).read_text("utf-8"))
    if identity_of(there) != identity_of(parts):
        raise HarnessError(f"train.resume={run_id} is another run: {differences(there, parts)}")
    if not (folder / STATE_FILE).exists():
        raise HarnessError(f"train.resume={run_id} was stopped before its first checkpoint; start it anew")


def clean(folder: Path) -> None:
    """Remove what a process that was killed left half-written: its names begin with a dot."""
    for leftover in [*folder.glob(".*"), *folder.glob("adapters/.*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != LOCK_FILE:
            leftover.unlink()
