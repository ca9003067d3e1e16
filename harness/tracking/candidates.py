"""Which checkpoint is the best: those of a run, a sweep or an experiment, by an objective.

Knows nothing of the registry that gives one a name.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mlflow.entities import LoggedModel, Metric

from harness.config.objective import VALID_LOSS, Objective
from harness.errors import HarnessError
from harness.tracking import queries
from harness.tracking.queries import Finished
from harness.tracking.store import Store

_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A saved adapter with the score of exactly its weights, on the split with `digest`."""

    model_id: str
    run_id: str
    step: int
    metric: str
    value: float
    digest: str
    tags: dict[str, str]
    params: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Best first. `elsewhere`: how many were left out, being scored on other data than the newest."""

    best: list[Checkpoint]
    elsewhere: int


def of_run(store: Store, run: Finished, by: Objective = VALID_LOSS) -> Candidates:
    """A run's checkpoints, whatever became of it."""
    found = _models(store, run.experiment_id, f"source_run_id = '{identifier(run.run_id)}'")
    return _ranked(_scored(found, [run], by), by)


def of_sweep(store: Store, sweep: Finished, by: Objective = VALID_LOSS) -> Candidates:
    """Those of a sweep's trials that may be chosen (see queries.candidates)."""
    found = _models(store, sweep.experiment_id, f"tags.sweep = '{identifier(sweep.run_id)}'")
    return _ranked(_scored(found, queries.sweep_candidates(store, sweep), by), by)


def of_experiment(store: Store, experiment_id: str, by: Objective = VALID_LOSS) -> Candidates:
    """Those of all runs and trials of an experiment that may be chosen."""
    found = _models(store, experiment_id, None)
    return _ranked(_scored(found, queries.candidates(store, experiment_id), by), by)


def best_of_trials(store: Store, sweep: Finished, top: int) -> list[Checkpoint]:
    """The best checkpoint of each of a sweep's best trials, by what steers the sweep."""
    found: dict[str, Checkpoint] = {}
    for point in of_sweep(store, sweep, queries.steered_by(store, sweep)).best:
        found.setdefault(point.run_id, point)
    return list(found.values())[:top]


def run_checkpoints(store: Store, run_id: str) -> list[Checkpoint]:
    """All of a run's checkpoints, in the order of their updates.

    Raises:
        HarnessError: when there is no such run.
    """
    return sorted(of_run(store, _run(store, run_id)).best, key=lambda point: point.step)


def best_of_run(store: Store, run_id: str) -> Checkpoint:
    """By its validation loss: what else a run is chosen by was measured of that checkpoint.

    Raises:
        HarnessError: when there is no such run, or it has no checkpoint.
    """
    run = _run(store, run_id)
    found = of_run(store, run).best
    if not found:
        raise HarnessError(f"adapter runs:/{run_id} has no checkpoint; its status is {run.status}")
    return found[0]


def _run(store: Store, run_id: str) -> Finished:
    try:
        return queries.get(store, identifier(run_id))
    except HarnessError as error:
        raise HarnessError(f"adapter runs:/{run_id} cannot be found: {error}") from error


def _models(store: Store, experiment_id: str, where: str | None) -> list[LoggedModel]:
    """Whole checkpoints, the newest first."""
    found: list[LoggedModel] = []
    token = None
    while True:
        page = store.client.search_logged_models(
            [experiment_id],
            filter_string=where,
            max_results=_PAGE,
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            page_token=token,
        )
        found += [model for model in page if str(model.status) == "READY"]
        token = page.token
        if not token:
            return found


def _scored(models: Sequence[LoggedModel], runs: Iterable[Finished], by: Objective) -> list[Checkpoint]:
    """Of these runs' checkpoints those that carry the objective.

    Former versions kept what is measured of a run's best checkpoint with the run alone.
    """
    known = {run.run_id: run for run in runs}
    models = [model for model in models if model.source_run_id in known]
    points = [point for model in models if (point := _checkpoint(model, by.checkpoint)) is not None]
    carried = {point.run_id for point in points}
    losses = [_checkpoint(model, VALID_LOSS.checkpoint) for model in models if model.source_run_id not in carried]
    best_first = _best([point for point in losses if point is not None], VALID_LOSS)
    for point in {point.run_id: point for point in reversed(best_first)}.values():  # each run's best
        value = known[point.run_id].metrics.get(by.name, math.nan)
        if by != VALID_LOSS and math.isfinite(value):
            points.append(replace(point, metric=by.checkpoint, value=value))
    return points


def _ranked(points: Sequence[Checkpoint], by: Objective) -> Candidates:
    """Only those that were scored on the same data can be compared: that of the newest."""
    same = [point for point in points if point.digest == points[0].digest]
    return Candidates(best=_best(same, by), elsewhere=len(points) - len(same))


def _best(points: Sequence[Checkpoint], by: Objective) -> list[Checkpoint]:
    return sorted(points, key=lambda point: (by.minimized({by.name: point.value}), point.step))


def _checkpoint(model: LoggedModel, metric: str) -> Checkpoint | None:
    told: dict[str, Metric] = {point.key: point for point in model.metrics or [] if math.isfinite(point.value)}
    if metric not in told:
        return None
    point = told[metric]
    # what is no loss rests on no split; the checkpoint's own is that of its run
    scored_on = point if point.dataset_digest else told.get(VALID_LOSS.checkpoint, point)
    return Checkpoint(
        model_id=model.model_id,
        run_id=str(model.source_run_id),
        step=int(model.tags.get("step", point.step)),
        metric=metric,
        value=point.value,
        digest=str(scored_on.dataset_digest),
        tags={key: value for key, value in model.tags.items() if not key.startswith("mlflow.")},
        params=dict(model.params or {}),
    )


def identifier(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise HarnessError(f"a run's id has 32 hex digits, but got {text}; the MLflow page and harness.runs show it")
    return text
