"""Runs, versions, studies and the folders that runs were trained on, each back to what it came of.

Knows what the store and a folder's manifest say. A run is told once in a chain.
"""

from pathlib import Path
from typing import Any

from harness.config.objective import VALID_LOSS
from harness.config.paths import MLRUNS
from harness.errors import HarnessError
from harness.files import digest_of
from harness.models.adapter_files import WEIGHTS_FILE
from harness.rounds.chain import Link
from harness.rounds.folder import Folder
from harness.tracking import queries
from harness.tracking.ancestry import (
    Ancestry,
    Judging,
    TrainedOn,
    ancestry_of,
    checkpoint_steps,
    judgings_of,
    version_of,
)
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store

_TAGS = {
    "commit": "mlflow.source.git.commit",
    "identity": "identity",
    "base": "base",
    "base revision": "base_revision",
    "settings": "overrides",
    "taken over from": "taken_from",
}
_PREPARED = {"kind": "source", "path": "read from"}


class Ancestors:
    """`store`: None where there is none here."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._told: set[str] = set()

    def newest_data(self) -> Path:
        """The folder that the newest run was trained on.

        Raises:
            HarnessError: when no run says it.
        """
        if self._store is None:
            raise HarnessError("there is no tracking store here; give the folder of the lines as --data")
        run = queries.newest(self._store)
        of = [run, *queries.trials(self._store, run)]
        found = next((each.params["data.path"] for each in of if "data.path" in each.params), None)
        if found is None:
            raise HarnessError(f"run {run.run_id} does not say its data; give the folder of the lines as --data")
        return Path(found)

    def judgings(self, sample: str) -> list[Judging]:
        return [] if self._store is None else judgings_of(self._store, sample)

    def version(self, reference: str) -> Link:
        """Raises: HarnessError when there is no such version."""
        if self._store is None:
            raise HarnessError(f"{reference} is in no store: {MLRUNS} has none; give --tracking-uri")
        found = version_of(self._store, reference)
        facts = {"aliases": ", ".join(found.aliases) or "none", "checkpoint": found.model, "update": found.step}
        lacks = tuple(key for key, value in facts.items() if value is None)
        of = () if found.run is None else (self.run(found.run),)
        lacks += ("its run",) if found.run is None else ()
        known = {key: value for key, value in facts.items() if value is not None}
        return Link(what="version", name=f"models:/{found.name}/{found.number}", facts=known, lacks=lacks, of=of)

    def gone(self, run_id: str, step: Any) -> list[str]:
        """What to say of a checkpoint that its run keeps no longer."""
        if self._store is None or step is None:
            return []
        try:
            kept = checkpoint_steps(self._store, run_id)
        except HarnessError:  # said with the run
            return []
        return [] if step in kept else ["its weights: the run keeps this checkpoint no longer"]

    def run(self, run_id: str, *, must_be_there: bool = False) -> Link:
        """A run or a sweep. `must_be_there`: that was asked for.

        Raises:
            HarnessError: when it must be there and is not.
        """
        if self._store is None:
            if must_be_there:
                raise HarnessError(f"run {run_id} is in no store: {MLRUNS} has none; give --tracking-uri")
            return Link(what="run", name=run_id, lacks=("anything of it: there is no tracking store here",))
        if run_id in self._told:
            return Link(what="run", name=run_id, facts={"see": "above"})
        try:
            found = ancestry_of(self._store, run_id)
        except HarnessError as error:
            if must_be_there:
                raise
            return Link(what="run", name=run_id, lacks=(f"anything of it: {error}",))
        self._told.add(run_id)
        return self._study(found) if found.run.kind is RunKind.SWEEP else self._trained(found)

    def _trained(self, found: Ancestry) -> Link:
        run = found.run
        facts: dict[str, Any] = {"name": run.name, "kind": run.kind.value, "experiment": found.experiment}
        facts |= {"status": run.status.value} | {key: run.tags[tag] for key, tag in _TAGS.items() if tag in run.tags}
        if VALID_LOSS.name in run.metrics:
            facts[VALID_LOSS.label] = round(run.metrics[VALID_LOSS.name], 4)
        lacks = [key for key in ("commit", "identity", "base revision") if key not in facts]
        lacks += [] if found.folder else ["its folder: it is not on this machine"]
        of = [self._data(found), *self._start(run)]
        if run.sweep_id is not None:
            of.append(self.run(run.sweep_id))
        return Link(what="run", name=run.run_id, facts=facts, lacks=tuple(lacks), of=tuple(of))

    def _study(self, found: Ancestry) -> Link:
        run = found.run
        varied = {key: value for key, value in run.params.items() if not key.startswith("sweep.")}
        facts: dict[str, Any] = {"experiment": found.experiment, "status": run.status.value}
        facts |= {"name": run.tags.get("study"), "varies": "; ".join(f"{k}={v}" for k, v in sorted(varied.items()))}
        facts |= {"metric": run.params.get(queries.METRIC), "best run": run.tags.get("best_run")}
        known = {key: value for key, value in facts.items() if value}
        return Link(what="study", name=run.run_id, facts=known, lacks=() if "best run" in known else ("its best run",))

    def _start(self, run: queries.Finished) -> list[Link]:
        """The adapter whose weights it began with."""
        adapter = run.params.get("train.init_adapter", "None")
        if adapter == "None":
            return []
        reference, lacks, of = adapter, ["which weights it led to then"], []
        if adapter.startswith("runs:/"):
            of, lacks = [self.run(adapter.removeprefix("runs:/").strip("/"))], []
        elif (weights := _weights(Path(adapter).expanduser())) is not None:
            lacks = [f"the run that trained it: only that its weights are now {digest_of(weights)[:16]}"]
        return [Link(what="started from", name=reference, lacks=tuple(lacks), of=tuple(of))]

    def _data(self, found: Ancestry) -> Link:
        """What it was trained on, and whether that still lies there."""
        train = found.splits.get("train")
        if train is None:
            said = found.run.params.get("data.path", "")
            return Link(what="data", name=said, lacks=("which lines: it has no digest",))
        path = Path(train.file) if train.file else Path(found.run.params.get("data.path", "."))
        folder = path.parent if train.file else path
        link = self.folder(folder)
        facts = {"tokens": train.tokens} | dict(link.facts)
        return Link(
            what="data", name=link.name, facts=facts, lacks=(*_moved(train, Folder(folder)), *link.lacks), of=link.of
        )

    def folder(self, path: Path) -> Link:
        """A folder of lines, back to what it was made of: earlier folders, and the runs that wrote lines of it."""
        folder = Folder(path)
        if folder.manifest is None:
            why = "what it was made of: harness.prepare did not write it" if path.is_dir() else "it: it is not there"
            return Link(what="data", name=str(path), facts=_digests(folder), lacks=(why,))
        facts = {said: folder.source[key] for key, said in _PREPARED.items() if folder.source.get(key)}
        lacks = tuple(f"what {name} was: it has changed since harness.prepare" for name in folder.changed)
        earlier = [Path(each).expanduser() for each in folder.source.get("earlier") or []]
        of = [self.folder(each) for each in earlier if each.is_dir() and each.resolve() != path.resolve()]
        of += [self._writer(run, count) for run, count in folder.written_by.most_common()]
        return Link(what="data", name=str(path), facts=_digests(folder) | facts, lacks=lacks, of=tuple(of))

    def _writer(self, run: str, lines: int) -> Link:
        return Link(what="written by", name=f"run {run}: {lines} of the lines to train on", of=(self.run(run),))


def _moved(train: TrainedOn, folder: Folder) -> list[str]:
    if train.sha256 is None:
        return ["whether the lines there are still those that were trained on: the run kept no digest of its file"]
    now = folder.digest()
    if now is None:
        return ["the lines: the file is gone"]
    return [] if now == train.sha256 else ["the lines: others lie there now; what follows is said of those"]


def _digests(folder: Folder) -> dict[str, Any]:
    train = folder.digest()
    return {} if train is None else {"train.jsonl": f"sha256 {train}"}


def _weights(path: Path) -> Path | None:
    file = path / WEIGHTS_FILE if path.is_dir() else path
    return file if file.is_file() else None
