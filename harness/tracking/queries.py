"""What there is to compare: runs as a flat list, the best first by the metric of their sweep.

Knows nothing of checkpoints and of pages.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from harness.config.conditions import Condition, read_requirement
from harness.config.objective import VALID_LOSS, WIN_RATE, Objective, objective
from harness.errors import HarnessError
from harness.tracking.run_kind import KIND, RunKind, kind_of
from harness.tracking.run_state import RunState, state_of
from harness.tracking.store import Store

SWEEP = "sweep"  # a tag: the sweep that a trial or a repeat is of
METRIC = "sweep.metric"  # a sweep's parameter: what steers it
REQUIRE = "sweep.require"  # another: what its trials must meet
WIN_RATE_ERROR = "judge/win_rate_stderr"
PERSON = "judge/agreement_with_person"  # the share of pairs that the judge puts in the person's order
UNSCORED = "judge_unscored"  # why a run that was to be judged has no score, as a tag
DISAGREEMENT = "judge_disagreement"  # what is known against its score
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One row of the comparison. `metrics` holds the last values."""

    run_id: str
    experiment_id: str
    name: str
    status: RunState
    metrics: dict[str, float]
    tags: dict[str, str]
    params: dict[str, str]

    @property
    def kind(self) -> RunKind:
        return kind_of(self.tags)

    @property
    def sweep_id(self) -> str | None:
        """Of a trial or a repeat."""
        return self.tags.get(SWEEP)

    @property
    def judged(self) -> str | None:
        """Its score by the judge with its error, and what is known against it; None where there was no judge."""
        if WIN_RATE.name not in self.metrics:
            return "unscored" if UNSCORED in self.tags else None
        error = f" ± {self.metrics[WIN_RATE_ERROR]:.2f}" if WIN_RATE_ERROR in self.metrics else ""
        person = f" (as the person {self.metrics[PERSON]:.0%})" if PERSON in self.metrics else ""
        against = " (judges disagree)" if DISAGREEMENT in self.tags else ""
        return f"{self.metrics[WIN_RATE.name]:.2f}{error}{person}{against}"


def newest(store: Store) -> Finished:
    """The newest sweep, or run outside a sweep, of the whole store.

    Raises:
        HarnessError: when there is none.
    """
    others = (RunKind.TRIAL, RunKind.REPEAT, RunKind.JUDGE, RunKind.PREPARE, RunKind.ROUND)
    where = " and ".join(f"tags.{KIND} != '{kind}'" for kind in others)
    return _newest(store, where, "run yet; start one with python -m harness.train")


def newest_sweep(store: Store) -> Finished:
    """The newest sweep of the whole store.

    Raises:
        HarnessError: when there is none.
    """
    where = f"tags.{KIND} = '{RunKind.SWEEP}'"
    return _newest(store, where, "sweep yet; start one with python -m harness.train -m lora.rank=4,8")


def _newest(store: Store, where: str, missing: str) -> Finished:
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    found = store.client.search_runs(experiments, where, max_results=1, order_by=["attributes.start_time DESC"])
    if not found:
        raise HarnessError(f"{store.uri} has no {missing}")
    return _finished(found[0])


def get(store: Store, run_id: str) -> Finished:
    """One run by its id.

    Raises:
        HarnessError: when there is none.
    """
    try:
        return _finished(store.client.get_run(run_id))
    except MlflowException as error:
        raise HarnessError(f"run {run_id} is not in {store.uri}; the MLflow page shows the ids of runs") from error


def steered_by(store: Store, run: Finished) -> Objective:
    """What a sweep, or the sweep that a trial belongs to, is steered by; of other runs the validation loss."""
    if run.kind is not RunKind.SWEEP and run.sweep_id is not None:
        try:
            run = get(store, run.sweep_id)
        except HarnessError:  # removed for good
            return VALID_LOSS
    return objective(run.params.get(METRIC, VALID_LOSS.name))


def trials(store: Store, sweep: Finished) -> list[Finished]:
    """A sweep's trials: the whole ones first, the best of its metric before others, those without one last."""
    by = steered_by(store, sweep)
    return sorted(_of_sweep(store, sweep, RunKind.TRIAL), key=lambda run: _order(run, by))


def repeats(store: Store, sweep: Finished) -> list[Finished]:
    """The finished runs of a sweep's best trials with other seeds."""
    by = steered_by(store, sweep)
    found = _of_sweep(store, sweep, RunKind.REPEAT)
    return [run for run in found if run.status is RunState.FINISHED and by.name in run.metrics]


def candidates(store: Store, experiment_id: str) -> list[Finished]:
    """What may be chosen from in an experiment.

    No repeats, which are there to know the noise; none that was pruned or deleted, none that breaks what its sweep
    requires.
    """
    runs = list(_runs(store, experiment_id, ""))
    required = {run.run_id: _required(run) for run in runs if run.kind is RunKind.SWEEP}
    return [run for run in runs if _may_be_chosen(run, required.get(run.sweep_id or "", []))]


def sweep_candidates(store: Store, sweep: Finished) -> list[Finished]:
    """Of a sweep's trials those that may be chosen."""
    return [run for run in _of_sweep(store, sweep, RunKind.TRIAL) if _may_be_chosen(run, _required(sweep))]


def all_of_kind(store: Store, experiment_id: str, kind: RunKind) -> list[Finished]:
    """An experiment's runs of one kind, the newest first."""
    return list(_runs(store, experiment_id, f"tags.{KIND} = '{kind}'"))


def _may_be_chosen(run: Finished, required: Sequence[Condition]) -> bool:
    if run.kind not in (RunKind.RUN, RunKind.TRIAL) or run.status is RunState.PRUNED:
        return False
    measured = {name.replace("/", "."): value for name, value in run.metrics.items()}
    return all(set(each.names) <= measured.keys() and each.holds(measured) for each in required)


def _required(sweep: Finished) -> list[Condition]:
    """A sweep's conditions, which its parameter joins by commas; a list within one has commas of its own."""
    found, text = [], ""
    for part in sweep.params.get(REQUIRE, "").split(","):
        text = f"{text},{part}" if text else part
        with suppress(HarnessError):
            found.append(read_requirement(text))
            text = ""
    return found


def _order(run: Finished, by: Objective) -> tuple[bool, float]:
    value = by.minimized(run.metrics) if by.name in run.metrics else float("inf")
    return run.status is not RunState.FINISHED, value


def _of_sweep(store: Store, sweep: Finished, kind: RunKind) -> list[Finished]:
    return list(_runs(store, sweep.experiment_id, f"tags.sweep = '{sweep.run_id}' and tags.{KIND} = '{kind}'"))


def _runs(store: Store, experiment_id: str, where: str) -> Iterator[Finished]:
    token = None
    while True:
        some = store.client.search_runs([experiment_id], where, max_results=_PAGE, page_token=token)
        yield from map(_finished, some)
        token = some.token
        if not token:
            return


def table_of(store: Store, run_id: str, file: str) -> list[dict[str, Any]]:
    """The rows of a table among a run's artifacts (see TrackedRun.table); none if it is not there."""
    if file not in {artifact.path for artifact in store.client.list_artifacts(run_id)}:
        return []
    with tempfile.TemporaryDirectory() as folder:
        table = json.loads(Path(store.client.download_artifacts(run_id, file, folder)).read_text("utf-8"))
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A finished run as a search can learn from it. `params` by the names users type, as texts."""

    run_id: str
    params: dict[str, str]
    value: float
    base_revision: str | None
    valid_digest: str | None


def scored_runs(store: Store, source: str, metric: str) -> list[Scored]:
    """The finished runs of an experiment, by its name, or of a sweep, by its id.

    Raises:
        HarnessError: when there is neither.
    """
    where = f"attributes.status = 'FINISHED' and tags.{KIND} != '{RunKind.SWEEP}'"
    experiment_id = store.find_experiment(source)
    if experiment_id is None:
        try:
            experiment_id = get(store, source).experiment_id
        except HarnessError as error:
            raise HarnessError(
                f"sweep.warm_start={source} must be an experiment or a sweep's id, but {error}"
            ) from error
        where += f" and tags.sweep = '{source}'"
    found = store.client.search_runs([experiment_id], where, max_results=_PAGE)
    return [_scored(run, metric) for run in found if metric in run.data.metrics]


def _scored(run: Run, metric: str) -> Scored:
    digests = [
        each.dataset.digest
        for each in (run.inputs.dataset_inputs if run.inputs else ())
        if any(tag.key == "mlflow.data.context" and tag.value == "valid" for tag in each.tags)
    ]
    return Scored(
        run_id=run.info.run_id,
        params=dict(run.data.params),
        value=run.data.metrics[metric],
        base_revision=run.data.tags.get("base_revision"),
        valid_digest=digests[0] if digests else None,
    )


def _finished(run: Run) -> Finished:
    tags = dict(run.data.tags)
    return Finished(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name or run.info.run_id,
        status=state_of(run.info.status, tags),
        metrics=dict(run.data.metrics),
        tags=tags,
        params=dict(run.data.params),
    )
