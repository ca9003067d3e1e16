"""An adapter that no run of this store trained: copied into it once a person takes it on. Its past is not known."""

import hashlib
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

from harness.config.objective import VALID_LOSS
from harness.errors import HarnessError
from harness.files import digest_of
from harness.models.adapter_files import save_spec
from harness.models.adapter_reading import read_adapter
from harness.models.weights_file import read_metadata
from harness.releasing.gate.contenders import Challenger
from harness.tracking import run_folder
from harness.tracking.candidates import Checkpoint
from harness.tracking.checkpoints import DIGEST, log_strangers
from harness.tracking.store import Store, is_known
from harness.tracking.versions import versions_of

_WHOLE = "adapter"  # a tag: of weights and configuration


def stranger(store: Store, folder: str) -> Challenger:
    """An adapter's folder or file as a challenger.

    Raises:
        HarnessError: for what cannot be read, and for a checkpoint of a run of this store.
    """
    adapter = read_adapter(Path(folder).expanduser(), folder)
    run_id = read_metadata(adapter.weights).get("run")
    if run_id is not None and is_known(store, run_id):
        raise HarnessError(f"--adapter={folder} was trained by run {run_id}, which is known here; say --run {run_id}")
    weights = digest_of(adapter.weights)
    whole = hashlib.sha256(json.dumps([weights, adapter.spec.to_json()]).encode()).hexdigest()
    tags = {DIGEST: weights, _WHOLE: whole, "base": adapter.spec.base or "unknown", "taken_from": folder}
    point = Checkpoint(
        model_id="", run_id="", step=adapter.iteration or 0, metric="", value=math.nan, digest="", tags=tags, params={}
    )
    return Challenger(checkpoint=point, among=[point], by=VALID_LOSS, adapter=adapter)


def taken_in(store: Store, challenger: Challenger, name: str) -> Checkpoint:
    """Its files in the store: logged now, unless a version of that name was made from the same."""
    point, adapter = challenger.checkpoint, challenger.adapter
    if adapter is None:
        return point
    for version in versions_of(store, name):
        if version.tags.get(_WHOLE) == point.tags[_WHOLE] and version.model_id is not None:
            return replace(point, model_id=version.model_id)
    with tempfile.TemporaryDirectory() as written:
        save_spec(Path(written), adapter.spec)
        places = (adapter.weights.parent, adapter.weights.parent.parent)
        beside = [file for place in places if (file := place / run_folder.CONFIG).exists()][:1]
        model_id = log_strangers(
            store, store.experiment_id(name), adapter.weights, configs=[*Path(written).iterdir(), *beside]
        )
    return replace(point, model_id=model_id)
