"""What there is to compare: runs as a flat list, and links that open them in the MLflow UI."""

from dataclasses import dataclass
from urllib.parse import quote

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from harness.errors import HarnessError
from harness.tracking.store import Store

# a run's last valid/loss may not be its lowest
BEST = "valid/best_loss"


@dataclass(frozen=True)
class Finished:
    """One row of the comparison. `metrics` holds the last values."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    sweep: str | None
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def newest(store: Store) -> Finished:
    """The newest sweep, or run outside a sweep, of the whole store.

    Raises:
        HarnessError: when there is none.
    """
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    found = store.client.search_runs(
        experiments, "tags.kind != 'trial'", max_results=1, order_by=["attributes.start_time DESC"]
    )
    if not found:
        raise HarnessError(f"{store.uri} has no run yet; start one with python -m harness.train")
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


def trials(store: Store, sweep: Finished) -> list[Finished]:
    """A sweep's trials, the best objective first, those without one last."""
    found = store.client.search_runs(
        [sweep.experiment_id], f"tags.sweep = '{sweep.run_id}' and tags.kind = 'trial'", max_results=1000
    )
    return sorted(map(_finished, found), key=lambda run: run.metrics.get(BEST, float("inf")))


def runs_link(experiment_id: str, where: str | None = None) -> str:
    """The flat table of an experiment's runs, the best first; `where` filters it, such as tags.sweep = "…"."""
    link = f"/#/experiments/{experiment_id}/runs?orderByKey={quote(f'metrics.`{BEST}`', safe='')}&orderByAsc=true"
    return link + (f"&searchFilter={quote(where, safe='')}" if where else "")


def samples_link(experiment_id: str, where: str | None = None) -> str:
    """The runs' samples side by side."""
    return runs_link(experiment_id, where) + "&compareRunsMode=ARTIFACT"


def _finished(run: Run) -> Finished:
    tags = dict(run.data.tags)
    return Finished(
        run.info.run_id,
        run.info.experiment_id,
        run.info.run_name or run.info.run_id,
        run.info.status,
        tags.get("sweep"),
        dict(run.data.params),
        dict(run.data.metrics),
        tags,
    )


def page_links(store: Store) -> list[tuple[str, str]]:
    """What a person opens first, as label and path: the newest sweep's trials, their samples, the registry."""
    links = [("registry", "/#/models")]
    try:
        chosen = newest(store)
    except HarnessError:
        return [("experiments", "/#/experiments"), *links]
    sweep = chosen.tags.get("kind") == "sweep"
    where = f'tags.sweep = "{chosen.run_id}"' if sweep else None
    label = "trials of newest sweep" if sweep else "runs"
    return [
        (label, runs_link(chosen.experiment_id, where)),
        ("their samples", samples_link(chosen.experiment_id, where)),
        *links,
    ]
