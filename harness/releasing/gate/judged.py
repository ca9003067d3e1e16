"""How often the texts of challenger and champion beat the same anchors before the same judge, theme by theme.

Knows what their runs kept of it. Asks no judge.
"""

import dataclasses
from collections.abc import Mapping
from statistics import fmean

import numpy as np

from harness.config.objective import WIN_RATE
from harness.config.schema import Config
from harness.releasing.checks.subject import Subject
from harness.releasing.gate.contenders import Challenger, Champion, carries_win_rate
from harness.releasing.gate.losses import Array, Compared
from harness.releasing.measured import config_beside
from harness.statistics.gain import LEAST_ROWS, gain_of_chosen, paired_gain
from harness.tracking import run_folder
from harness.tracking.queries import table_of
from harness.tracking.store import Store

_ANCHOR, _ANCHORS = "anchor", "anchor"  # in a run's table: a frozen text, and what the judge was asked beside them
_OF_BASE = 0.5  # what the base's own texts win of one another
_BY = ("task", "criteria", "model", "base_url", "panel", "anchors", "anchors_per_theme", "seed")

Rates = Mapping[str, float]


def compare_judged(store: Store, challenger: Challenger, champion: Champion, subject: Subject) -> Compared | None:
    """Anchors that were not beaten, as a share; None where the two were not judged alike on themes enough.

    Where the judge chose, what half of the themes would have chosen is scored on the other.
    """
    config, present = subject.config, champion.files(store)
    if config is None or not carries_win_rate(store, challenger.checkpoint.model_id):
        return None
    ours = _rates(store, challenger.checkpoint.run_id, config)
    theirs = _of_base(ours, config)
    if present is not None:
        theirs = _of_champion(store, champion, config, config_beside(present))
    themes = [theme for theme in ours if theme in theirs]
    if len(themes) < LEAST_ROWS:
        return None
    before, after, even = _lost(theirs, themes), _lost(ours, themes), np.ones(len(themes))
    if challenger.by.name != WIN_RATE.name:
        return Compared(gain=paired_gain(before, after, even), on=f"{len(themes)} themes")
    runs = {each.run_id for each in challenger.among} - {challenger.checkpoint.run_id}
    others = [_rates(store, run_id, config) for run_id in sorted(runs)]
    every = [after, *(_lost(rates, themes) for rates in others if rates.keys() >= set(themes))]
    on = f"those of {len(themes)} themes that did not choose it among {len(every)} runs"
    return Compared(gain=gain_of_chosen(before, np.stack(every), even), on=on)


def _lost(rates: Rates, themes: list[str]) -> Array:
    return np.array([1 - rates[theme] for theme in themes])


def _of_base(ours: Rates, config: Config) -> Rates:
    """Where the anchors are its own texts."""
    return dict.fromkeys(ours, _OF_BASE) if config.judge.anchors is None else {}


def _of_champion(store: Store, champion: Champion, config: Config, theirs: Config | None) -> Rates:
    judged = champion.model_id is not None and carries_win_rate(store, champion.model_id)
    if theirs is None or champion.run_id is None or not judged or _asked(config) != _asked(theirs):
        return {}
    return _rates(store, champion.run_id, theirs)


def _asked(config: Config) -> dict[str, object]:
    """What the scores of two runs must share to be compared."""
    judge, generate = dataclasses.asdict(config.judge), dataclasses.asdict(config.generate)
    alike = {name: judge[name] for name in _BY} | {f"generate.{name}": generate[name] for name in generate}
    base = (config.model.path, config.model.revision) if config.judge.anchors is None else None
    # batches are for speed alone, and of two lists of themes those that are on both are compared
    return {name: value for name, value in alike.items() if name not in ("generate.batch_size", "generate.prompts")} | {
        "prompt": config.prompt,
        "system": config.data.system,
        "base": base,
    }


def _rates(store: Store, run_id: str, config: Config) -> Rates:
    """By theme, over texts and judges that count; empty where nothing was judged."""
    rows = [row for row in table_of(store, run_id, run_folder.VERDICTS_TABLE) if row["kind"] == _ANCHORS]
    if not config.judge.panel:
        rows = [row for row in rows if row["judge"] == rows[0]["judge"]]
    shares: dict[str, list[float]] = {}
    for row in rows:
        order = str(row["ranking"]).split(" > ")
        ours = [place for place, name in enumerate(order) if name != _ANCHOR]
        if not row["unscored"] and len(ours) == 1:
            shares.setdefault(str(row["theme"]), []).append((len(order) - 1 - ours[0]) / (len(order) - 1))
    return {theme: fmean(of_theme) for theme, of_theme in shares.items()}
