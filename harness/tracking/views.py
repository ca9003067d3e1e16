"""Links that open what matters in MLflow's page, and the views that they open. Knows the page's words, no run's."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from harness.config.objective import VALID_LOSS, Objective
from harness.errors import HarnessError
from harness.tracking.queries import newest, steered_by
from harness.tracking.run_kind import KIND, RunKind
from harness.tracking.run_state import STATE
from harness.tracking.store import Store

_COLUMNS = ("valid/best_step", "train/tokens_per_second", "memory/peak_gb")
_RUNS_VIEW = "runs"
# else the page opens in its GenAI mode, which hides the registry
_TRAINING = "workflowType=machine_learning"


def save_view(
    store: Store,
    experiment_id: str,
    sweep_id: str | None,
    params: Sequence[str],
    by: Objective = VALID_LOSS,
) -> None:
    """A view of the runs table with the columns that matter, the best by `by` first, opened by `view_link`.

    MLflow's page keeps shared views as tags of the experiment, by a key that stands in the link. The key
    is the sweep's id; None is for the runs outside sweeps.
    """
    metrics = dict.fromkeys([by.name, VALID_LOSS.name, *_COLUMNS])
    view = {
        "searchFilter": _shown(sweep_id),
        "orderByKey": f"metrics.`{by.name}`",
        "orderByAsc": not by.maximize,
        "selectedColumns": ["attributes.`Duration`"]
        + [f"metrics.`{name}`" for name in metrics]
        + [f"params.`{name}`" for name in params]
        + [f"tags.`{STATE}`"],
    }
    store.client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{sweep_id or _RUNS_VIEW}", json.dumps(view))


def view_link(experiment_id: str, sweep_id: str | None) -> str:
    """The flat table of a sweep's trials, or of the runs outside sweeps, the best first."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={sweep_id or _RUNS_VIEW}&{_TRAINING}"


def samples_link(experiment_id: str, sweep_id: str | None, by: Objective = VALID_LOSS) -> str:
    """Their samples side by side, those of the best first."""
    ascending = str(not by.maximize).lower()
    order = f"orderByKey={quote(f'metrics.`{by.name}`', safe='')}&orderByAsc={ascending}"
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
    sweep_id = chosen.run_id if chosen.kind is RunKind.SWEEP else None
    return [
        ("trials of newest sweep" if sweep_id else "runs", view_link(chosen.experiment_id, sweep_id)),
        ("their samples", samples_link(chosen.experiment_id, sweep_id, steered_by(store, chosen))),
        registry,
    ]


def _shown(sweep_id: str | None) -> str:
    """The page's filter for a sweep's trials, or for the runs outside sweeps."""
    if sweep_id is None:
        return f'tags.{KIND} = "{RunKind.RUN}"'
    return f'tags.sweep = "{sweep_id}" and tags.{KIND} = "{RunKind.TRIAL}"'
