"""What the store says of where a run or a version comes from. What it does not say is None; nothing is guessed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.tracking import queries, run_folder
from harness.tracking.candidates import run_checkpoints
from harness.tracking.queries import Finished
from harness.tracking.registry import find_version
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store
from harness.tracking.versions import version_model


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """A split of a run: the digest of its tokens, its file, and that file's SHA-256 (former versions kept none)."""

    tokens: str
    file: str | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Ancestry:
    """A run with its experiment, its splits by name, and where its folder lies here, if it does."""

    run: Finished
    experiment: str
    splits: Mapping[str, TrainedOn]
    folder: Path | None


@dataclass(frozen=True, kw_only=True)
class RegisteredVersion:
    """`step`: the update of the checkpoint that it was made from."""

    name: str
    number: int
    aliases: list[str]
    model: str | None
    run: str | None
    step: int | None


@dataclass(frozen=True, kw_only=True)
class Judging:
    """A ranking that saw a sample."""

    run: str
    judges: list[str]
    rubric: str | None


def ancestry_of(store: Store, run_id: str) -> Ancestry:
    """Raises: HarnessError when there is no such run."""
    found = queries.get(store, run_id)
    raw = store.client.get_run(run_id)
    folder = store.runs / run_id
    return Ancestry(
        run=found,
        experiment=str(store.client.get_experiment(found.experiment_id).name),
        splits={
            each.dataset.name: TrainedOn(
                tokens=each.dataset.digest,
                file=_uri(each.dataset.source),
                sha256=found.tags.get(f"data.{each.dataset.name}.sha256"),
            )
            for each in (raw.inputs.dataset_inputs if raw.inputs else ())
        },
        folder=folder if folder.is_dir() else None,
    )


def version_of(store: Store, reference: str) -> RegisteredVersion:
    """Raises: HarnessError when there is no such version, with what there is."""
    found = find_version(store, reference)
    step = (found.tags or {}).get("checkpoint_step")
    aliases = store.client.get_model_version(found.name, found.version).aliases  # which one found by alias may lack
    return RegisteredVersion(
        name=str(found.name),
        number=int(found.version),
        aliases=list(aliases),
        model=version_model(found),
        run=found.run_id or None,
        step=None if step is None else int(step),
    )


def checkpoint_steps(store: Store, run_id: str) -> dict[int, str]:
    """The id of each of a run's checkpoints that are kept, by its update."""
    return {point.step: point.model_id for point in run_checkpoints(store, run_id)}


def judgings_of(store: Store, sample: str) -> list[Judging]:
    """Of the runs in this store's folder those whose ranking saw a sample, the newest last."""
    files = sorted(store.runs.glob(f"*/{run_folder.RANKING}"), key=lambda file: file.stat().st_mtime)
    return [found for file in files if (found := _judging(file, sample)) is not None]


def rounds_of(store: Store, experiment: str, folder: str, number: int) -> list[Finished]:
    """The runs that stand for a round, by its folder and number."""
    experiment_id = store.find_experiment(experiment)
    if experiment_id is None:
        return []
    runs = queries.all_of_kind(store, experiment_id, RunKind.ROUND)
    return [run for run in runs if (run.tags.get("rounds"), run.tags.get("round")) == (folder, str(number))]


def _judging(file: Path, sample: str) -> Judging | None:
    text = file.read_text("utf-8")
    if f'"{sample}"' not in text:
        return None
    try:
        record = json.loads(text)
        return Judging(run=file.parent.name, judges=list(record["judges"]), rubric=record["rubric"]["digest"])
    except (ValueError, KeyError, TypeError):  # some other version's
        return None


def _uri(source: str | None) -> str | None:
    try:
        found = json.loads(source or "")
    except ValueError:
        return None
    return str(found["uri"]) if isinstance(found, dict) and "uri" in found else None
