"""Where the parts meet: one training run, from a Config to a finished record.

The train door and the sweeper both call `train_run`, and only it. A `Bench` holds what the runs of one
process share; nothing else passes from one run to the next.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from harness.config.checks import check_data, check_model, check_values, total_updates
from harness.config.load import flat
from harness.config.schema import Config, ModelConfig
from harness.data.dataset import Split, describe, fixed_subset, load_split
from harness.errors import HarnessError
from harness.files import write_json, write_text
from harness.models import blas
from harness.models.adapter import AdapterSpec, attached, loaded, read_adapter, save_spec, spec_for
from harness.models.base import Base, open_base
from harness.models.device import device, versions
from harness.progress import Display, duration
from harness.record import EventLog, draw_losses, git_state
from harness.sampling.samples import Origin, Sample, append_sample, sample
from harness.tracking.overview import BEST
from harness.tracking.registry import OBJECTIVE
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from harness.tuning.loop import Outcome, train
from harness.watch import RUN_CONFIG, RunWatcher

SAMPLES_TABLE = "samples.json"


class Bench:
    """What the runs of one process share: the tracking store, the display, and the last base used."""

    def __init__(self, store: Store, display: Display) -> None:
        self.store = store
        self.display = display
        self._config: ModelConfig | None = None
        self._base: Base | None = None
        display.say(blas.describe())

    def base(self, config: ModelConfig) -> Base:
        if self._base is None or config != self._config:
            self._base = None  # let the former go before the next is loaded
            self._base, self._config = open_base(config), config
        return self._base


@dataclass(frozen=True)
class Place:
    """Where a run belongs: its name, and the sweep whose trial it is."""

    name: str | None = None
    overrides: list[str] = field(default_factory=list)
    sweep: str | None = None
    trial: int | None = None

    @property
    def tags(self) -> dict[str, str]:
        if self.sweep is None:
            return {"kind": "run"}
        return {"kind": "trial", "sweep": self.sweep, "trial": str(self.trial)}


@dataclass(frozen=True)
class Material:
    """Everything checked and loaded that a run starts from."""

    base: Base
    spec: AdapterSpec
    train: Split
    valid: Split
    warnings: list[str]


@dataclass(frozen=True)
class FinishedRun:
    run_id: str
    folder: Path
    outcome: Outcome


def train_run(config: Config, bench: Bench, place: Place) -> FinishedRun:
    """Check, train, sample, record.

    Raises:
        HarnessError: for what the user can mend; the MLflow run, if it had begun, then says FAILED and why.
    """
    name = place.name or _name(config)

    def start() -> TrackedRun:
        experiment_id = bench.store.experiment_id(config.name)
        return TrackedRun.start(
            bench.store, experiment_id, name=name, tags=place.tags | git_state(), parent=place.sweep
        )

    try:
        material = gather(config, bench)
    except HarnessError as error:
        if place.sweep is not None:  # a trial that cannot begin is to be seen among the others
            start().finish("FAILED", reason(error))
        raise
    run = start()
    folder = bench.store.runs / run.run_id
    folder.mkdir(parents=True)
    with _status_kept(run, EventLog(folder / "log.jsonl")) as log:
        _log_beginning(run, log, config, material, place, folder)
        lineage = _lineage(config, material, run, place)
        watcher = RunWatcher(
            config,
            material.train,
            material.valid,
            run=run,
            log=log,
            folder=folder,
            display=bench.display,
            lineage=lineage,
        )
        model = material.base.model
        with attached(model, material.spec, seed=config.train.seed):
            bench.display.say(f"reading the weights of {material.base.path}")
            material.base.materialize()
            with bench.display.updates(total_updates(config.train, len(material.train.rows)), name):
                outcome = train(model, material.train, material.valid, config.train, watcher)
        samples = _sample_best(config, material, run, folder, outcome, bench.display)
        _log_end(run, log, config, material, outcome, watcher, samples, folder, name)
    bench.display.say(
        f"{name}: {OBJECTIVE} {outcome.start.loss:.4f} → {outcome.best.loss:.4f}, "
        f"perplexity {outcome.best.perplexity:.1f}, after {outcome.best.step} updates; "
        f"{duration(outcome.train_seconds)}, {outcome.peak_gb:.2f} GB; run {run.run_id}"
    )
    return FinishedRun(run.run_id, folder, outcome)


def gather(config: Config, bench: Bench) -> Material:
    """All checks, in the order of their cost: values, the base's settings, the data, the layers' names."""
    warnings = check_values(config)
    base = bench.base(config.model)
    check_model(config, num_blocks=base.num_blocks)
    folder = Path(config.data.path).expanduser()
    if not folder.is_dir():
        raise HarnessError(f"data.path={folder} must be a folder with train.jsonl and valid.jsonl, but there is none")
    settings = config.train
    train_split, valid_split = (
        load_split(
            folder,
            name,
            base.tokenizer,
            labels=config.data.labels,
            max_seq_length=settings.max_seq_length,
            mask_prompt=settings.mask_prompt,
        )
        for name in ("train", "valid")
    )
    valid_split = fixed_subset(valid_split, settings.valid_rows)
    for split in (train_split, valid_split):
        warnings += split.warnings(settings.max_seq_length)
    warnings += check_data(config, train_rows=len(train_split.rows), valid_rows=len(valid_split.rows))
    spec = spec_for(config.lora, base.model, base=base.path, base_revision=base.revision)
    for warning in warnings:
        bench.display.say(f"warning: {warning}")
    return Material(base, spec, train_split, valid_split, warnings)


@contextmanager
def _status_kept(run: TrackedRun, log: EventLog) -> Iterator[EventLog]:
    """However the work inside ends, the run's status and reason say so."""
    try:
        yield log
    except KeyboardInterrupt:
        _end(run, log, "KILLED", "interrupted from the keyboard")
        raise
    except BaseException as error:
        _end(run, log, "FAILED", reason(error))
        raise
    run.finish("FINISHED")


def reason(error: BaseException) -> str:
    """One line that says what a run died of."""
    said = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())


def _end(run: TrackedRun, log: EventLog, status: str, why: str) -> None:
    log.write("ended", status=status, reason=why)
    run.finish(status, why)


def _log_beginning(
    run: TrackedRun, log: EventLog, config: Config, material: Material, place: Place, folder: Path
) -> None:
    resolved = yaml.safe_dump(dataclasses.asdict(config), allow_unicode=True, sort_keys=False)
    write_text(folder / RUN_CONFIG, resolved)
    save_spec(folder / "adapters", material.spec)
    run.artifact(folder / RUN_CONFIG)
    base, updates = material.base, total_updates(config.train, len(material.train.rows))
    run.params(flat(config) | {"train.updates": updates, "model.resolved_revision": base.revision})
    run.tags(
        {"base": base.path, "base_revision": base.revision}
        | {"overrides": " ".join(place.overrides)}
        | {f"version.{name}": version for name, version in versions().items()}
        | {f"device.{name}": value for name, value in device().items() if value}
    )
    for split in (material.train, material.valid):
        run.dataset(name=split.name, digest=split.digest, path=split.path, context=split.name)
    log.write("started", run=run.run_id, overrides=place.overrides, data=describe([material.train, material.valid]))
    for warning in material.warnings:
        log.write("warning", text=warning)


def _name(config: Config) -> str:
    lora, train_config = config.lora, config.train
    return f"rank={lora.rank} scale={lora.scale:g} layers={lora.num_layers} lr={train_config.learning_rate:g}"


def _lineage(config: Config, material: Material, run: TrackedRun, place: Place) -> dict[str, str]:
    """What each checkpoint, and so each registered version, says of where it comes from."""
    sweep = {} if place.sweep is None else {"sweep": place.sweep}
    return sweep | {
        "run": run.run_id,
        "experiment": config.name,
        "base": material.base.path,
        "base_revision": material.base.revision,
        "train_digest": material.train.digest,
    }


def _sample_best(
    config: Config, material: Material, run: TrackedRun, folder: Path, outcome: Outcome, display: Display
) -> list[Sample]:
    """The best checkpoint, read back from disk, writes on the fixed prompts."""
    if not config.generate.prompts:
        return []
    display.say(f"writing {len(config.generate.prompts)} samples with the checkpoint of update {outcome.best.step}:")
    adapter = read_adapter(folder / "adapters", f"runs:/{run.run_id}")
    origin = Origin(material.base.path, adapter.source, run.run_id, outcome.best.step)
    base, settings = material.base, config.generate
    written = []
    with loaded(base.model, adapter, scale=settings.scale):
        for entry in sample(
            base.model, base.tokenizer, settings.prompts, settings, system=config.data.system, origin=origin
        ):
            written.append(entry)
            append_sample(folder / "samples.jsonl", entry)
            display.say(f"  {entry.theme}: {' / '.join(entry.text.split())[:60]}")
    run.artifact(folder / "samples.jsonl")
    run.table(
        [{"theme": entry.theme, "text": entry.text, "iteration": entry.iteration} for entry in written],
        SAMPLES_TABLE,
    )
    return written


def _log_end(
    run: TrackedRun,
    log: EventLog,
    config: Config,
    material: Material,
    outcome: Outcome,
    watcher: RunWatcher,
    samples: list[Sample],
    folder: Path,
    name: str,
) -> None:
    seconds_sampling = sum(entry.seconds for entry in samples)
    totals = {
        BEST: outcome.best.loss,
        "valid/best_step": float(outcome.best.step),
        "memory/peak_gb": outcome.peak_gb,
        "train/seconds": outcome.train_seconds,
    }
    if samples:
        totals["generate/seconds_per_sample"] = seconds_sampling / len(samples)
    run.metrics(outcome.updates, totals)
    draw_losses(folder / "loss.png", watcher.windows, watcher.scores, name)
    run.artifact(folder / "loss.png")
    report = {
        "run": run.run_id,
        "name": name,
        "config": dataclasses.asdict(config),
        "data": describe([material.train, material.valid]),
        "base": {"path": material.base.path, "revision": material.base.revision},
        "device": device(),
        "versions": versions(),
        "git": git_state(),
        "warnings": material.warnings,
        "totals": totals,
        "validations": [dataclasses.asdict(score) | {"perplexity": score.perplexity} for score in watcher.scores],
        "training": [dataclasses.asdict(window) for window in watcher.windows],
        "samples": [dataclasses.asdict(entry) for entry in samples],
    }
    write_json(folder / "report.json", report)
    run.artifact(folder / "report.json")
    log.write("ended", status="FINISHED", **totals)
    run.artifact(log.path)
