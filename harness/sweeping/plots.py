"""Optuna's own plots of a study, as pieces of a page. Knows nothing of runs."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.sweeping.listing import Listed, counted
from harness.sweeping.storage import Studies
from harness.sweeping.study import RUN

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
    state: str
    params: dict[str, Any]
    value: float | None
    last_step: int | None
    run_id: str | None
    failure: str | None


def told_trials(studies: Studies, listed: Listed) -> list[Told]:
    study = optuna.load_study(study_name=listed.name, storage=studies.storage(listed.name))
    names = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    return [
        Told(
            place,
            names.get(trial.state, trial.state.name.lower()),
            dict(trial.params),
            trial.value,
            trial.last_step,
            trial.user_attrs.get(RUN),
            trial.user_attrs.get("failure"),
        )
        for place, trial in enumerate(counted(study), 1)
    ]


def draw(studies: Studies, listed: Listed, costs: Mapping[str, Mapping[str, float]], value_name: str) -> list[Plot]:
    """What can be drawn of it so far. `costs`: by run, what a trade-off may be about, such as seconds."""
    stored = optuna.load_study(study_name=listed.name, storage=studies.storage(listed.name))
    study = _copy(counted(stored))
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = sorted({name for trial in done for name in trial.params})
    v = optuna.visualization
    wanted: list[tuple[str, Callable[[], Any], str]] = [
        ("Optimization history", lambda: v.plot_optimization_history(study, target_name=value_name), ""),
        ("Intermediate values", lambda: v.plot_intermediate_values(study), "valid/loss at each validation"),
        ("Parallel coordinates", lambda: v.plot_parallel_coordinate(study, target_name=value_name), ""),
        ("Slices", lambda: v.plot_slice(study, target_name=value_name), ""),
        ("Importances", lambda: v.plot_param_importances(study, target_name=value_name), _doubt(done, names)),
    ]
    for label in sorted({label for known in costs.values() for label in known}):
        pairs = [(trial, costs.get(trial.user_attrs.get(RUN, ""), {}).get(label)) for trial in done]
        wanted.append((f"Pareto front: {value_name} and {label}", partial(_pareto, pairs, value_name, label), ""))
    if not done:
        wanted = wanted[1:2]
    return [plot for title, make, note in wanted if (plot := _drawn(title, make, note)) is not None]


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
        return "computed by PED-ANOVA from the trials that were tried to their end"
    return (
        f"{len(done)} trials to their end are too few to tell how much {len(names)} settings matter: take this as "
        f"a hint at most ({enough} would do)"
    )


def _copy(trials: Sequence[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(direction="minimize")
    study.add_trials([trial for trial in trials if trial.state.is_finished()])
    return study


def _pareto(pairs: Sequence[tuple[FrozenTrial, float | None]], value_name: str, label: str) -> Any:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for trial, cost in pairs:
        if cost is not None and trial.value is not None:
            values = [trial.value, cost]
            study.add_trial(create_trial(values=values, params=trial.params, distributions=trial.distributions))
    if not study.trials:
        raise ValueError("no trial has both")
    return optuna.visualization.plot_pareto_front(study, target_names=[value_name, label])
