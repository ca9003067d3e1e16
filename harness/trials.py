"""A sweep's runs: a parent run in MLflow, and under it one training run for each trial of a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.config.axes import Space
from harness.config.checks import check_values
from harness.config.schema import Config
from harness.errors import HarnessError, reason
from harness.material import Bench
from harness.progress import Display
from harness.run import Place, train_run
from harness.sweeping.study import Combination, Result, Trial, combinations, run_study
from harness.tracking.overview import BEST, save_view
from harness.tracking.reconcile import reconcile
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_writable_store

# overrides of one trial -> its configuration
Compose = Callable[[Sequence[str]], Config]


@dataclass(frozen=True)
class SweepResult:
    """`sweep_id` is the parent run's id, and the study's name."""

    sweep_id: str
    results: list[Result]


def run_sweep(space: Space, compose: Compose, display: Display) -> SweepResult:
    """Check every combination, then train them one after the other.

    Raises:
        HarnessError: before anything runs, for a combination that cannot work.
    """
    todo = list(combinations(space.axes))
    configs = [_checked(compose, words(space, combination)) for combination in todo]
    first = configs[0]
    for config in configs:
        if (config.name, config.tracking) != (first.name, first.tracking):
            raise HarnessError("name and tracking.* must be the same for all trials of a sweep; take them out of it")
    bench = Bench(open_writable_store(first.tracking), display)
    varied = " ".join(f"{axis.name}={','.join(axis.words)}" for axis in space.axes)
    store = bench.store
    with TrackedRun.start(store, first.name, name=f"sweep {varied}", tags={"kind": "sweep"}) as parent:
        parent.params({axis.name: axis.words for axis in space.axes} | {"sweep.trials": len(todo)})
        save_view(store, store.experiment_id(first.name), parent.run_id, [axis.name for axis in space.axes])
        display.say(f"sweep {parent.run_id}: {len(todo)} trials, {varied}")
        short = short_names([axis.name for axis in space.axes])

        def objective(trial: Trial) -> float:
            overrides = words(space, trial.params)
            varying = " ".join(f"{short[axis.name]}={axis.word(trial.params[axis.name])}" for axis in space.axes)
            place = Place(varying, overrides, parent.run_id, trial.number)
            display.say(f"trial {trial.number + 1} of {len(todo)}: {varying}")
            return train_run(configs[trial.number], bench, place).outcome.best.loss

        try:
            results = run_study(
                parent.run_id, store.studies, space.axes, objective, settings={"experiment": first.name}
            )
        except KeyboardInterrupt:
            parent.finish("KILLED", "interrupted from the keyboard")
            raise
        except BaseException as error:
            parent.finish("FAILED", reason(error))
            raise
        _finish(parent, results)
    _send_rest(store, parent.run_id, display)
    return SweepResult(parent.run_id, results)


def words(space: Space, combination: Combination) -> list[str]:
    """The command-line overrides of one combination."""
    return [*space.fixed, *(f"{axis.name}={axis.word(combination[axis.name])}" for axis in space.axes)]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """lora.rank is rank, as long as no other name ends so."""
    ends = [name.rsplit(".", 1)[-1] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def _checked(compose: Compose, overrides: Sequence[str]) -> Config:
    config = compose(overrides)
    check_values(config)
    if config.train.resume is not False:
        raise HarnessError("train.resume is for single runs; leave it false in a sweep")
    return config


def _finish(parent: TrackedRun, results: Sequence[Result]) -> None:
    values = [result.value for result in results if result.value is not None]
    failed = len(results) - len(values)
    if not values:
        parent.finish("FAILED", f"all {failed} trials failed; the first: {results[0].failure}")
        return
    parent.metrics(0, {BEST: min(values), "sweep/failed_trials": float(failed)})
    parent.finish("FINISHED")


def _send_rest(store: Store, sweep_id: str, display: Display) -> None:
    """What trials could not tell MLflow while it did not answer, if it answers now."""
    for settled in reconcile(store, sweep_id) if store.answers() else ():
        if settled.left is None:
            display.say(f"{settled.name}: {settled.sent} entries that waited have reached MLflow")
