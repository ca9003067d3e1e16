"""What makes two commands the same sweep, so that the second goes on with the first."""

import hashlib
import json
from pathlib import Path

from harness.config.axes import Space
from harness.config.later import is_neutral
from harness.config.load import flat
from harness.config.schema import Config
from harness.run.session import Session
from harness.tracking.references import find_adapter
from harness.tuning.loop import ENGINE

# more trials go on with the same study, and so does what does not change what a trial is worth
_ASIDE = {
    "trials",
    "retries",
    "workers",
    "storage",
    "hours",
    "trial_minutes",
    "disk_gb",
    "keep",
    "repeats",
    "reuse",
    "report",
    "stop_when",
    "stagnant_trials",
}
# of the judge's what it may cost, not what it says
_ASIDE_OF_JUDGE = {
    "max_calls",
    "max_tokens",
    "max_cost",
    "price_in",
    "price_out",
    "concurrency",
    "timeout_seconds",
    "retries",
    "key_env",
    "repeats",  # of rankings alone
    "teach",  # decisions that teach are named by their bytes
}


def beginning(first: Config, session: Session) -> list[str]:
    """What the names of the base and of the adapter to start from lead to now."""
    init = first.train.init_adapter
    start = None if init is None else find_adapter(init, lambda: session.store).weights
    revision = session.base(first.model).revision
    return [revision] if start is None else [revision, hashlib.sha256(start.read_bytes()).hexdigest()]


def study_name(first: Config, space: Space, more: list[object]) -> str:
    """A hash of every setting but those of cost, of what varies, of the lines of the data, and of `more`."""
    varied = {axis.name for axis in space.axes}
    aside = varied | {f"sweep.{name}" for name in _ASIDE} | {f"judge.{name}" for name in _ASIDE_OF_JUDGE}
    fixed = {
        key: value
        for key, value in flat(first).items()
        if key not in aside and not key.startswith("tracking.") and not is_neutral(key, value)
    }
    data = Path(first.data.path).expanduser()
    fixed.pop("data.path", None)  # its lines count, not where they lie: other machines have other folders
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(data.glob("*.jsonl"))}
    if first.judge.anchors is not None:
        files["anchors"] = hashlib.sha256(Path(first.judge.anchors).expanduser().read_bytes()).hexdigest()
    if first.judge.decisions is not None and first.judge.teach is not False:  # else they change no score
        decisions = Path(first.judge.decisions).expanduser()
        files["decisions"] = hashlib.sha256(decisions.read_bytes()).hexdigest() if decisions.is_file() else ""
    parts = [ENGINE, *more, [axis.said for axis in space.axes], fixed, files]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
