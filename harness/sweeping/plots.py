"""Optuna's own plots of a study, as pieces of a page. Knows nothing of runs."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.config.objective import Objective
from harness.sweeping.attributes import FAILURE, RUN
from harness.sweeping.listing import Listed, counted
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import Studies
from harness.sweeping.trial import status_of

_ENOUGH = 10  # trials for each name that varies, for importances to mean something


@dataclass(frozen=True)
class Plot:
    """`html`: a div; the first of a page brings the script that draws them all. `note`: what to know of it."""

    title: str
    html: str
    note: str = ""


@dataclass(frozen=True)
class Told:
    """One trial as the study has it. `last_step`: of its last report."""

    place: int
    state: TrialStatus
    params: dict[str, Any]
    value: float | None
    last_step: int | None
    run_id: str | None
    failure: str | None


def told_trials(studies: Studies, listed: Listed) -> list[Told]:
    study = optuna.load_study(study_name=listed.name, storage=studies.storage(listed.name))
    return [
        Told(
            place=place,
            state=status_of(trial),
            params=dict(trial.params),
            value=trial.value,
            last_step=trial.last_step,
            run_id=trial.user_attrs.get(RUN),
            failure=trial.user_attrs.get(FAILURE),
        )
        for place, trial in enumerate(counted(study), 1)
    ]


def draw(
    studies: Studies, listed: Listed, costs: Mapping[str, Mapping[str, float]], objective: Objective
) -> list[Plot]:
    """What can be drawn of it so far. `costs`: by run, what a trade-off may be about, such as seconds."""
    stored = optuna.load_study(study_name=listed.name, storage=studies.storage(listed.name))
    study, value_name = _copy(counted(stored), objective), objective.label
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = sorted({name for trial in done for name in trial.params})
    v = optuna.visualization
    wanted: list[tuple[str, Callable[[], Any], str]] = [
        ("Optimization history", lambda: v.plot_optimization_history(study, target_name=value_name), ""),
        ("Intermediate values", lambda: v.plot_intermediate_values(study), "valid/loss at each validation"),
        ("Parallel coordinates", lambda: v.plot_parallel_coordinate(study, target_name=value_name), ""),
        ("Slices", lambda: v.plot_slice(study, target_name=value_name), ""),
        ("Importances (PED-ANOVA)", partial(_importances, study, value_name), _doubt(done, names)),
    ]
    for label in sorted({label for known in costs.values() for label in known}):
        pairs = [(trial, costs.get(trial.user_attrs.get(RUN, ""), {}).get(label)) for trial in done]
        wanted.append((f"Pareto front: {value_name} and {label}", partial(_pareto, pairs, objective, label), ""))
    if not done:
        wanted = wanted[1:2]
    return [plot for title, make, note in wanted if (plot := _drawn(title, make, note)) is not None]


def _importances(study: optuna.Study, value_name: str) -> Any:
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.visualization.plot_param_importances(study, evaluator, target_name=value_name)


def script() -> str:
    """What draws them: plotly's own, so that the page needs no network."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _drawn(title: str, make: Callable[[], Any], note: str) -> Plot | None:
    logging.getLogger("optuna").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's on what is experimental
        try:
            figure = make()
        except (ValueError, RuntimeError) as error:  # nothing varies, or too few trials
            return Plot(title, "", f"not drawn: {error}")
    if not figure.data:
        return None
    figure.update_layout(title=None, margin={"t": 30}, template="plotly_white")
    return Plot(title, figure.to_html(full_html=False, include_plotlyjs=False), note)


def _doubt(done: Sequence[FrozenTrial], names: Sequence[str]) -> str:
    enough = _ENOUGH * max(len(names), 1)
    if len(done) >= enough:
        return "by PED-ANOVA: how much each setting tells the best trials from the rest, of those tried to their end"
    return (
        f"{len(done)} trials to their end are too few to tell how much {len(names)} settings matter: take this as "
        f"a hint at most ({enough} would do)"
    )


def _copy(trials: Sequence[FrozenTrial], objective: Objective) -> optuna.Study:
    """With the metric's own values."""
    study = optuna.create_study(direction=_direction(objective))
    study.add_trials([_as_shown(trial, objective) for trial in trials if trial.state.is_finished()])
    return study


def _direction(objective: Objective) -> StudyDirection:
    return StudyDirection.MAXIMIZE if objective.maximize else StudyDirection.MINIMIZE


def _as_shown(trial: FrozenTrial, objective: Objective) -> FrozenTrial:
    shown = copy(trial)
    if trial.state is TrialState.COMPLETE and trial.value is not None:
        shown.value = objective.shown(trial.value)
    return shown


def _pareto(pairs: Sequence[tuple[FrozenTrial, float | None]], objective: Objective, label: str) -> Any:
    study = optuna.create_study(directions=[_direction(objective), StudyDirection.MINIMIZE])
    for trial, cost in pairs:  # of the copy, so as shown
        if cost is not None and trial.value is not None:
            values = [trial.value, cost]
            study.add_trial(create_trial(values=values, params=trial.params, distributions=trial.distributions))
    if not study.trials:
        raise ValueError("no trial has both")
    return optuna.visualization.plot_pareto_front(study, target_names=[objective.label, label])
