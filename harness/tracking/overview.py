"""What there is to compare: runs as a flat list, and links that open them in the MLflow UI."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from harness.errors import HarnessError
from harness.tracking.store import Store, was_deleted

__all__ = ["was_deleted"]

# a run's last valid/loss may not be its lowest
BEST = "valid/best_loss"
PRUNED = "pruned"  # how the reason of a run begins that a search ended early; MLflow has no status for it
STATE = "state"  # Optuna's word for what became of a run, as a tag: MLflow has no status for pruned
WIN_RATE, WIN_RATE_ERROR = "judge/win_rate", "judge/win_rate_stderr"
UNSCORED = "judge_unscored"  # why a run that was to be judged has no score, as a tag
DISAGREEMENT = "judge_disagreement"  # what is known against its score
_COLUMNS = (BEST, "valid/best_step", "train/tokens_per_second", "memory/peak_gb")
_RUNS_VIEW = "runs"
# else the page opens in its GenAI mode, which hides the registry
_TRAINING = "workflowType=machine_learning"


@dataclass(frozen=True)
class Finished:
    """One row of the comparison. `metrics` holds the last values."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    metrics: dict[str, float]
    tags: dict[str, str]
    params: dict[str, str]

    @property
    def judged(self) -> str | None:
        """Its score by the judge with its error, and what is known against it; None where there was no judge."""
        if WIN_RATE not in self.metrics:
            return "unscored" if UNSCORED in self.tags else None
        error = f" ± {self.metrics[WIN_RATE_ERROR]:.2f}" if WIN_RATE_ERROR in self.metrics else ""
        return f"{self.metrics[WIN_RATE]:.2f}{error}{' (judges disagree)' if DISAGREEMENT in self.tags else ''}"


def newest(store: Store) -> Finished:
    """The newest sweep, or run outside a sweep, of the whole store.

    Raises:
        HarnessError: when there is none.
    """
    found = _newest(store, "tags.kind != 'trial' and tags.kind != 'repeat' and tags.kind != 'judge'")
    if found is None:
        raise HarnessError(f"{store.uri} has no run yet; start one with python -m harness.train")
    return found


def newest_sweep(store: Store) -> Finished:
    """The newest sweep of the whole store.

    Raises:
        HarnessError: when there is none.
    """
    found = _newest(store, "tags.kind = 'sweep'")
    if found is None:
        raise HarnessError(f"{store.uri} has no sweep yet; start one with python -m harness.train -m lora.rank=4,8")
    return found


def _newest(store: Store, where: str) -> Finished | None:
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    found = store.client.search_runs(experiments, where, max_results=1, order_by=["attributes.start_time DESC"])
    return _finished(found[0]) if found else None


def get(store: Store, run_id: str) -> Finished:
    """One run by its id.

    Raises:
        HarnessError: when there is none.
    """
    try:
        return _finished(store.client.get_run(run_id))
    except MlflowException as error:
        raise HarnessError(f"run {run_id} is not in {store.uri}; the MLflow page shows the ids of runs") from error


def trials(store: Store, sweep: Finished) -> list[Finished]:
    """A sweep's trials, the best objective first, those without one last."""
    return sorted(_of_sweep(store, sweep, "trial"), key=lambda run: run.metrics.get(BEST, float("inf")))


def repeats(store: Store, sweep: Finished) -> list[Finished]:
    """The finished runs of a sweep's best trials with other seeds."""
    return [run for run in _of_sweep(store, sweep, "repeat") if run.status == "FINISHED" and BEST in run.metrics]


def _of_sweep(store: Store, sweep: Finished, kind: str) -> list[Finished]:
    found: list[Run] = []
    where, token = f"tags.sweep = '{sweep.run_id}' and tags.kind = '{kind}'", None
    while True:
        some = store.client.search_runs([sweep.experiment_id], where, max_results=1000, page_token=token)
        found += some
        token = some.token
        if not token:
            return [_finished(run) for run in found]


def table_of(store: Store, run_id: str, file: str) -> list[dict[str, Any]]:
    """The rows of a table among a run's artifacts (see TrackedRun.table); none if it is not there."""
    if file not in {artifact.path for artifact in store.client.list_artifacts(run_id)}:
        return []
    with tempfile.TemporaryDirectory() as folder:
        table = json.loads(Path(store.client.download_artifacts(run_id, file, folder)).read_text("utf-8"))
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


@dataclass(frozen=True)
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
    where = "attributes.status = 'FINISHED' and tags.kind != 'sweep'"
    experiment_id = store.find_experiment(source)
    if experiment_id is None:
        try:
            experiment_id = get(store, source).experiment_id
        except HarnessError as error:
            raise HarnessError(
                f"sweep.warm_start={source} must be an experiment or a sweep's id, but {error}"
            ) from error
        where += f" and tags.sweep = '{source}'"
    scored = []
    for run in store.client.search_runs([experiment_id], where, max_results=1000):
        value = run.data.metrics.get(metric)
        digests = [
            each.dataset.digest
            for each in (run.inputs.dataset_inputs if run.inputs else ())
            if any(tag.key == "mlflow.data.context" and tag.value == "valid" for tag in each.tags)
        ]
        if value is not None:
            revision = run.data.tags.get("base_revision")
            digest = digests[0] if digests else None
            scored.append(Scored(run.info.run_id, dict(run.data.params), value, revision, digest))
    return scored


def close_directly(
    store: Store, run_id: str, status: str, why: str | None, metrics: Mapping[str, float], step: int
) -> None:
    """End a run whose folder is on another machine, if that has not done it."""
    if store.client.get_run(run_id).info.status == status:
        return
    for name, value in metrics.items():
        store.client.log_metric(run_id, name, value, step=step)
    if why is not None:
        store.client.set_tag(run_id, "failure", why)
    store.client.set_terminated(run_id, status)


def save_view(
    store: Store, experiment_id: str, sweep_id: str | None, params: Sequence[str], metrics: Sequence[str] = ()
) -> None:
    """A view of the runs table with the columns that matter, opened by `view_link`.

    MLflow's page keeps shared views as tags of the experiment, by a key that stands in the link. The key
    is the sweep's id; None is for the runs outside sweeps.
    """
    view = {
        "searchFilter": _shown(sweep_id),
        "orderByKey": f"metrics.`{BEST}`",
        "orderByAsc": True,
        "selectedColumns": ["attributes.`Duration`"]
        + [f"metrics.`{name}`" for name in dict.fromkeys([*_COLUMNS[:1], *metrics, *_COLUMNS[1:]])]
        + [f"params.`{name}`" for name in params]
        + [f"tags.`{STATE}`"],
    }
    store.client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{sweep_id or _RUNS_VIEW}", json.dumps(view))


def view_link(experiment_id: str, sweep_id: str | None) -> str:
    """The flat table of a sweep's trials, or of the runs outside sweeps, the best first."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={sweep_id or _RUNS_VIEW}&{_TRAINING}"


def samples_link(experiment_id: str, sweep_id: str | None) -> str:
    """Their samples side by side."""
    order = f"orderByKey={quote(f'metrics.`{BEST}`', safe='')}&orderByAsc=true"
    return (
        f"/#/experiments/{experiment_id}/runs?searchFilter={quote(_shown(sweep_id), safe='')}&{order}"
        f"&compareRunsMode=ARTIFACT&{_TRAINING}"
    )


def page_links(store: Store) -> list[tuple[str, str]]:
    """What a person opens first, as label and path: the newest sweep's trials, their samples, the registry."""
    registry = ("registry", f"/#/models?{_TRAINING}")
    try:
        chosen = newest(store)
    except HarnessError:
        return [("experiments", f"/#/experiments?{_TRAINING}"), registry]
    sweep_id = chosen.run_id if chosen.tags.get("kind") == "sweep" else None
    return [
        ("trials of newest sweep" if sweep_id else "runs", view_link(chosen.experiment_id, sweep_id)),
        ("their samples", samples_link(chosen.experiment_id, sweep_id)),
        registry,
    ]


def _shown(sweep_id: str | None) -> str:
    """The page's filter for a sweep's trials, or for the runs outside sweeps."""
    return f'tags.sweep = "{sweep_id}" and tags.kind = "trial"' if sweep_id else 'tags.kind = "run"'


def _finished(run: Run) -> Finished:
    tags = dict(run.data.tags)
    return Finished(
        run.info.run_id,
        run.info.experiment_id,
        run.info.run_name or run.info.run_id,
        "PRUNED" if tags.get("failure", "").startswith(PRUNED) else run.info.status,
        dict(run.data.metrics),
        tags,
        dict(run.data.params),
    )
