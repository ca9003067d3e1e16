"""What is exported: the adapter that a reference means, its base, and all that is recorded of the two.

Knows references, a run's record and the registry. Does not know what is made of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from harness.config.objective import VALID_LOSS
from harness.config.schema import Config, ModelConfig, TrackingConfig
from harness.console.progress import Display
from harness.data.dataset import Row, fixed_subset
from harness.errors import HarnessError
from harness.models import builtin
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base, open_base
from harness.models.base_names import is_public, public_name
from harness.models.reading import read_split
from harness.models.weights_file import read_metadata
from harness.releasing.measured import config_beside
from harness.tracking.ancestry import TrainedOn, ancestry_of
from harness.tracking.references import find_adapter
from harness.tracking.registry import find_version
from harness.tracking.store import Store, open_store

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SLUG = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A model version: its tags and its page."""

    name: str
    number: int
    tags: Mapping[str, str]
    page: str

    @property
    def said(self) -> str:
        return f"{self.name} version {self.number}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of the run: `metrics` by name; `splits`: what it was trained and scored on, by name;
    `train_digest`: as the file itself says."""

    run: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    splits: Mapping[str, TrainedOn] = field(default_factory=dict)
    version: Registered | None = None
    train_digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`config`: of its run; None for a stranger's adapter. `rows`: validation rows; where there are none, `unread`
    says why."""

    adapter: AdapterFiles
    base: Base
    config: Config | None
    record: Record
    rows: Sequence[Row]
    unread: str = ""
    notes: Sequence[str] = ()

    @property
    def slug(self) -> str:
        """A name for files: of the version, else of the run and its update, else of the adapter's folder."""
        version, step = self.record.version, self.adapter.iteration
        if version is not None:
            return _SLUG.sub("-", f"{version.name}-v{version.number}").strip("-.") or "adapter"
        if self.record.run is not None:
            return self.record.run[:8] + ("" if step is None else f"-{step}")
        place = Path(self.adapter.source).expanduser().absolute()
        return _SLUG.sub("-", (place.parent if place.is_file() else place).name).strip("-.") or "adapter"

    @property
    def kind(self) -> str:
        """For people."""
        return "DoRA" if self.adapter.spec.fine_tune_type == "dora" else "LoRA"

    @property
    def base_name(self) -> str:
        """For a card: a hub's name or a built-in's, else the last part of a folder's; never a path."""
        return public_name(self.base)


def find_subject(reference: str, tracking: TrackingConfig, *, model: str | None, display: Display) -> Subject:
    """`model`: the base, where the adapter does not say it or it lies elsewhere now.

    Raises:
        HarnessError: when adapter or base is not there.
    """
    opened = cache(lambda: open_store(tracking))
    adapter = find_adapter(reference, opened)
    base = _base_of(adapter, model)
    for warning in base.warnings:
        display.say(f"warning: {warning}")
    notes = _doubts(adapter, base)
    for note in notes:
        display.say(f"warning: {note}")
    config = config_beside(adapter)
    record = _record(reference, adapter, opened)
    rows, unread = _rows(config, base, record, display)
    return Subject(adapter=adapter, base=base, config=config, record=record, rows=rows, unread=unread, notes=notes)


def _base_of(adapter: AdapterFiles, model: str | None) -> Base:
    spec = adapter.spec
    path = spec.base if model is None else model
    if path is None:
        raise HarnessError(f"{adapter.source} does not say what base it was trained on; give it with --model")
    there = path in builtin.NAMES or Path(path).expanduser().is_dir()
    if model is None and not there and not is_public(path):
        raise HarnessError(f"the base of {adapter.source} is no longer at {path}; say with --model where it is now")
    hub = model is None and not there
    revision = spec.base_revision if hub and spec.base_revision and _COMMIT.fullmatch(spec.base_revision) else None
    settings = ModelConfig(path=path, revision=revision, template_args=spec.template_args)
    try:
        return open_base(settings, setting="--model")
    except HarnessError as error:
        raise HarnessError(f"the base of {adapter.source}: {error}") from error


def _doubts(adapter: AdapterFiles, base: Base) -> list[str]:
    if adapter.spec.base_revision in (None, base.revision, base.former_revision):
        return []
    return [
        f"the adapter was trained on {_named(adapter.spec.base)} at {adapter.spec.base_revision}, "
        f"but {public_name(base)} is at {base.revision}"
    ]


def _named(base: str | None) -> str:
    return "its base" if base is None else base if is_public(base) else Path(base).name


def _record(reference: str, adapter: AdapterFiles, store: Callable[[], Store]) -> Record:
    """Of the store, where the reference leads there; of a folder, what the file itself says."""
    said = read_metadata(adapter.weights)
    run = said.get("run")
    metrics = {name: float(said[name]) for name in (VALID_LOSS.checkpoint,) if name in said}
    known = Record(run=run, metrics=metrics, train_digest=said.get("train_digest"))
    if not reference.startswith(("runs:/", "models:/")):
        return known
    version = None
    if reference.startswith("models:/") and not re.fullmatch(r"models:/+m-[0-9a-f]{32}/*", reference):
        found = find_version(store(), reference)
        version = Registered(
            name=str(found.name), number=int(found.version), tags=dict(found.tags), page=str(found.description or "")
        )
    if run is None:
        return replace(known, version=version)
    try:
        ancestry = ancestry_of(store(), run)
    except HarnessError:  # a person removed the run; the version is left
        return replace(known, version=version)
    return replace(known, metrics={**ancestry.run.metrics, **metrics}, splits=ancestry.splits, version=version)


def _rows(config: Config | None, base: Base, record: Record, display: Display) -> tuple[Sequence[Row], str]:
    """The validation rows, as the run chose them, and why there are none or others."""
    if config is None:
        return [], "the adapter has no record of its data"
    try:
        split = fixed_subset(read_split(config, "valid", base), config.train.valid_rows)
    except HarnessError as error:
        display.say(f"warning: {error}")
        return [], "the validation data cannot be read"
    if not split.rows:
        return [], "the validation data has no row to learn from"
    scored = record.splits.get("valid")
    if scored is not None and scored.tokens != split.digest:
        return split.rows, "the validation data is another than the run's, by its digest"
    return split.rows, ""


def without_paths(text: str) -> str:
    """Of each absolute path the last part, or what is within the home folder: what is said goes into a card."""
    text = text.replace(f"{Path.home()}/", "")  # whose name may have spaces
    part = r"[^\s/,;:()]+"
    return re.sub(rf"(https?://\S+)|(?<![\w.])/(?:{part}/)*({part})", lambda found: found[1] or found[2], text)
