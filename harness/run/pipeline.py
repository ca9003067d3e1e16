"""Where the parts meet: one training run, from a Config to a finished record.

The train door and the sweeper both call `train_run`, and only it. Nothing passes from one run to the
next but what a Bench holds.
"""

import dataclasses
import shlex
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.config.checks import total_updates
from harness.config.load import flat
from harness.config.overrides import as_typed
from harness.config.schema import Config
from harness.console.interrupt import gentle_interrupt
from harness.console.progress import duration
from harness.data.dataset import describe
from harness.errors import HarnessError, WriteError, reason
from harness.files import write_json, write_text
from harness.machine.blas import Kind
from harness.machine.device import begin_phase, device, memory_use
from harness.machine.provenance import git_state, versions
from harness.models.adapter import (
    adapter_weights,
    attached,
    load_weights,
    save_spec,
)
from harness.run.context import Contact, Place, Work
from harness.run.finish import best_adapter, log_end, score_test
from harness.run.identity import identity_of
from harness.run.log import EventLog
from harness.run.preflight import MemoryPlan, check_disk, check_memory, plan_memory, shortage_said
from harness.run.resume import Unfinished, clean, find_unfinished, other_blas
from harness.run.reuse import Source, find_source, take_over, taken_outcome
from harness.run.samples import base_texts, measure_texts, write_samples
from harness.run.session import Bench, gather
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.run.watcher import RunWatcher
from harness.tracking import run_folder
from harness.tracking.overview import PRUNED, STATE
from harness.tracking.registry import OBJECTIVE
from harness.tracking.runs import TrackedRun
from harness.tuning.loop import Outcome, train
from harness.tuning.memory import shape_of


@dataclass(frozen=True)
class FinishedRun:
    run_id: str
    folder: Path
    outcome: Outcome
    totals: dict[str, float]


def train_run(config: Config, bench: Bench, place: Place, contact: Contact = Contact()) -> FinishedRun:  # noqa: B008
    """Check, train, sample, record; or go on with a run that was interrupted, as train.resume says.

    A trial of a sweep takes over what another run has done of it.

    Raises:
        HarnessError: for what the user can mend; the MLflow run, if it had begun, then says FAILED and why.
    """
    name = place.name or _name(config)

    def start(more: dict[str, str]) -> AbstractContextManager[TrackedRun]:
        tags = place.tags | git_state() | more
        return TrackedRun.start(bench.store, config.name, name=name, tags=tags, parent=place.sweep)

    try:
        material = gather(config, bench)
        if config.judge.wanted:
            from harness.run.judging import check_ready  # what judging needs takes half a second to import

            check_ready(config, bench.display)
    except HarnessError as error:
        if place.sweep is not None:  # a trial that cannot begin is to be seen among the others
            with start({}) as run:
                run.finish("FAILED", reason(error))
        raise
    former = find_unfinished(config, bench.store, material.parts, place.sweep)
    source = None
    if former is None and place.sweep is not None:
        anywhere = config.sweep.reuse == "store"
        source = find_source(config, material, bench.store, sweep=place.sweep, anywhere=anywhere)
    tags = {"identity": identity_of(material.parts)} | (source.tags if source else {})
    with TrackedRun.go_on(bench.store, former.folder) if former else start(tags) as run:
        work = Work(config, material, run, EventLog(run.folder / run_folder.LOG), name, bench, contact)
        contact.began(run.run_id)
        with _status_kept(work, place):
            outcome, totals = _phases(work, place, former, source)
            if outcome.pruned:
                _end(work, "KILLED", f"{PRUNED} after update {outcome.updates}")
            else:
                _end(work, "FINISHED")
        if not outcome.pruned and not place.keep_state:
            (run.folder / run_folder.STATE).unlink(missing_ok=True)  # finished: nothing is left to go on with
    bench.display.say(
        f"{name}: {OBJECTIVE} {outcome.start.loss:.4f} → {outcome.best.loss:.4f}, "
        f"perplexity {outcome.best.perplexity:.1f}, after {outcome.best.step} updates; "
        f"{duration(outcome.train_seconds)}, {outcome.peak_gb:.2f} GB; run {run.run_id}"
    )
    return FinishedRun(run.run_id, run.folder, outcome, totals)


def _name(config: Config) -> str:
    lora, settings = config.lora, config.train
    return f"rank={lora.rank} scale={lora.scale:g} layers={lora.num_layers} lr={settings.learning_rate:g}"


@contextmanager
def _status_kept(work: Work, place: Place) -> Iterator[None]:
    """However the work inside ends, the run's status and reason say so."""

    try:
        yield
    except KeyboardInterrupt:
        _end(work, "KILLED", "interrupted from the keyboard")
        if place.sweep is None:
            work.display.say(_how_to_go_on(work, place))
        raise
    except BaseException as error:
        with suppress(WriteError):  # a full disk may not take this either; harness.reconcile closes the run then
            if not isinstance(error, HarnessError):  # a fault of ours: a sweep goes on, so it is kept here
                work.log.write("traceback", text=traceback.format_exc())
            _end(work, "FAILED", reason(error))
        if isinstance(error, WriteError) and place.sweep is None:
            work.display.say(_how_to_go_on(work, place))
        raise


_STATES = {"FINISHED": "COMPLETE", "FAILED": "FAILED", "KILLED": "INTERRUPTED"}


def _end(work: Work, status: str, why: str | None = None) -> None:
    if why is not None:
        work.log.write("ended", status=status, reason=why)
    pruned = why is not None and why.startswith(PRUNED)
    work.run.tags({STATE: "PRUNED" if pruned else _STATES[status]})
    waiting = work.run.finish(status, why)
    if waiting:
        why_not = work.run.trouble or "it does not answer"
        work.display.say(
            f"warning: {waiting} entries of run {work.run.run_id} have not reached {work.run.store.uri} ({why_not}); "
            "they are kept in its folder: send them with python -m harness.reconcile"
        )


def _how_to_go_on(work: Work, place: Place) -> str:
    if not (work.folder / run_folder.STATE).exists():
        return f"stopped before the first checkpoint of run {work.run.run_id}: nothing to go on from"
    command = shlex.join(["python", "-m", "harness.train", *_as_typed(place), f"train.resume={work.run.run_id}"])
    return f"go on with: {command}"


def _as_typed(place: Place) -> list[str]:
    """What was set on the command line, but for what a resumption sets itself."""
    return [as_typed(word) for word in place.overrides if not word.startswith("train.resume=")]


def _phases(
    work: Work, place: Place, former: Unfinished | None, source: Source | None
) -> tuple[Outcome, dict[str, float]]:
    """The phases of a run; each lets go of what the next does not need. Returns also what it measured, by metric."""
    material = work.material
    watcher = RunWatcher(
        work.config,
        material.train,
        material.valid,
        run=work.run,
        log=work.log,
        display=work.display,
        lineage=_lineage(work, place),
        trials=(place.left, place.at_once),
    )
    if former is None:
        _log_beginning(work, place)
    if former is not None:
        clean(work.folder)
        watcher.go_on(former.course)
        work.display.say(f"going on with run {work.run.run_id} after update {former.course.step}")
        _say_other_blas(work)
    elif source is not None:
        work.display.say(source.said)
        former = Unfinished(work.folder, take_over(source, work.run, work.log))
        watcher.go_on(former.course)
        for score in watcher.scores:
            work.stop(score)  # told, not asked: it was paid for elsewhere
    if former is not None and source is not None and source.whole:
        outcome, plan = taken_outcome(former.course), MemoryPlan({}, [])
    else:
        outcome, plan = _train(work, watcher, former)
    begin_phase()
    adapter = best_adapter(work)
    test = None if outcome.pruned else score_test(work, adapter, outcome)
    if outcome.pruned:
        return outcome, log_end(work, outcome, None, watcher, [], {}, plan)
    samples = write_samples(work, adapter, outcome.best.step)
    beside = base_texts(work) if samples else []
    measured = measure_texts(work, samples, beside)
    begin_phase()
    if work.config.judge.wanted and samples:
        from harness.run.judging import judge_texts

        judged = judge_texts(work, samples, beside)
        outcome = dataclasses.replace(outcome, pruned=judged.pruned)
        measured |= judged.metrics
    return outcome, log_end(work, outcome, test, watcher, samples, measured, plan)


def _train(work: Work, watcher: RunWatcher, former: Unfinished | None) -> tuple[Outcome, MemoryPlan]:
    material, settings, display = work.material, work.config.train, work.display
    model, updates = material.base.model, total_updates(settings, len(material.train.rows))
    begin_phase()
    with attached(model, material.spec, seed=settings.seed):
        if material.init is not None:
            load_weights(model, material.init.weights)
        adapter_bytes = sum(value.nbytes for value in adapter_weights(model).values())
        check_disk(work.config, material, work.folder, adapter_bytes, display)
        shape = shape_of(model, material.spec, material.base.settings)
        cut = planned_cut(work.config, material, shape)
        plan = plan_memory(work.config, material, shape, cut[0])
        for line in check_memory(plan, material.base.path):
            display.say(line)
        display.say(f"reading the weights of {material.base.path}")
        before = work.bench.trunks.seconds
        with shortage_said(plan):
            engine = prepare_engine(work.config, material, cut, work.bench)
            material.base.materialize(engine.at)
        work.totals["memory/preparing_peak_gb"] = memory_use().peak
        work.totals["trunk/seconds"] = work.bench.trunks.seconds - before
        begin_phase()
        splits = (material.train, material.valid)
        with display.updates(updates, work.name), shortage_said(plan):
            # no name for the state: its arrays are to go once they are put back
            state = former.state if former else lambda: None
            with gentle_interrupt(display.say) as asked:
                outcome = train(
                    model,
                    *splits,
                    settings,
                    watcher,
                    resume=state(),
                    engine=engine,
                    stop=work.stop,
                    interrupted=lambda: asked() or work.contact.leave(),
                )
            if asked():  # too late for the loop
                raise KeyboardInterrupt
    if outcome.pruned:
        display.say(f"pruned after update {outcome.updates}: others were better there")
    elif outcome.updates < updates:
        display.say(f"stopped after update {outcome.updates}: {settings.patience} validations without a new best")
    return outcome, plan


def _log_beginning(work: Work, place: Place) -> None:
    run, material, config, folder = work.run, work.material, work.config, work.folder
    resolved = yaml.safe_dump(dataclasses.asdict(config), allow_unicode=True, sort_keys=False)
    write_text(folder / run_folder.CONFIG, resolved)
    write_json(folder / run_folder.PARTS, material.parts)
    save_spec(folder / run_folder.ADAPTERS, material.spec)
    run.artifact(run_folder.CONFIG)
    updates = total_updates(config.train, len(material.train.rows))
    settings = {key: value for key, value in flat(config).items() if not key.startswith("sweep.")}
    run.params(settings | {"train.updates": updates, "model.resolved_revision": material.base.revision})
    run.tags(
        {"base": material.base.path, "base_revision": material.base.revision}
        | {"overrides": shlex.join(_as_typed(place))}
        | {f"version.{name}": version for name, version in versions().items()}
        | {f"device.{name}": value for name, value in device().items() if value}
    )
    for split in material.splits:
        run.dataset(name=split.name, digest=split.digest, path=split.path, context=split.name)
    work.log.write("started", run=run.run_id, overrides=place.overrides, data=describe(material.splits))
    for warning in material.warnings:
        work.log.write("warning", text=warning)


def _say_other_blas(work: Work) -> None:
    products = other_blas(work.folder)
    if products is not None:
        was, now = products
        setting = 0 if was == Kind.REFERENCE else was
        work.display.say(
            f"warning: this run's matrix products were of the {was} BLAS and are now of the {now} one, so it will end "
            f"with other last digits than undisturbed; HARNESS_OPENBLAS={setting} goes on as it began"
        )
        work.run.tags({"device.blas": f"{was}, {now}"})


def _lineage(work: Work, place: Place) -> dict[str, str]:
    """What each checkpoint, and so each registered version, says of where it comes from."""
    sweep = {} if place.sweep is None else {"sweep": place.sweep}
    start = {} if work.material.init is None else {"init_adapter": work.material.init.source}
    return (
        sweep
        | start
        | {
            "run": work.run.run_id,
            "experiment": work.config.name,
            "base": work.material.base.path,
            "base_revision": work.material.base.revision,
            "train_digest": work.material.train.digest,
        }
    )
