"""A sweep on one page: what was tried, what came of it, what it cost, and texts side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from harness.config.axes import short_names
from harness.config.objective import VALID_LOSS, Objective, objective
from harness.console.html import html_page, paragraphs, table
from harness.console.progress import duration
from harness.files import write_text
from harness.multirun.noise import Noise, noise_of
from harness.multirun.widening import widening_said
from harness.sweeping.listing import Listed
from harness.sweeping.plots import Plot, Told, draw, script, told_trials
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import Studies
from harness.tracking import run_folder
from harness.tracking.luck import left_said
from harness.tracking.queries import Finished, repeats, table_of, trials
from harness.tracking.queries import get as get_run
from harness.tracking.store import Store

_BEST_ROWS = 10
_SAMPLED = 3
_COSTS = {"train/seconds": "training seconds", "memory/peak_gb": "peak GB", "adapter/megabytes": "adapter MB"}


@dataclass(frozen=True)
class Entry:
    """One trial: as the study has it, and its run as MLflow has it, if that knows it."""

    told: Told
    run: Finished | None
    name: str

    def metric(self, name: str) -> float | None:
        return None if self.run is None else self.run.metrics.get(name)


def write_report(store: Store, studies: Studies, listed: Listed, file: Path) -> None:
    """Write the page to `file`, and put it with the sweep's run in MLflow."""
    write_text(file, page(store, studies, listed))
    store.client.log_artifact(listed.parent, str(file))


def page(store: Store, studies: Studies, listed: Listed) -> str:
    """The whole page: no part of it is anywhere else."""
    parent = get_run(store, listed.parent)
    runs = {run.run_id: run for run in trials(store, parent)}
    told = told_trials(studies, listed)
    entries = [Entry(each, runs.get(each.run_id or ""), _name(each, told)) for each in told]
    costs = {
        run.run_id: {label: run.metrics[name] for name, label in _COSTS.items() if name in run.metrics}
        for run in runs.values()
    }
    best = sorted((e for e in entries if e.told.state is TrialStatus.DONE and e.told.value is not None), key=_value)
    chosen_by = objective(parent.params.get("sweep.metric", VALID_LOSS.name))
    noise = noise_of(store, [(e.run, e.told.value) for e in best], repeats(store, parent), chosen_by)
    parts = [
        f"<h1>{escape(parent.name)}</h1>",
        paragraphs(
            _summary(listed, entries, best, noise, chosen_by) + widening_said(store, studies, listed, noise.alike)
        ),
        "<h2>The best</h2>",
        table(
            ["trial", "", chosen_by.label, *_HEADS],
            [_row(entry, best, noise, chosen_by) for entry in best[:_BEST_ROWS]],
        ),
        *_settings(best[:1]),
        *_sampled(store, best[:_SAMPLED]),
        *_plots(draw(studies, listed, costs, chosen_by)),
        *_failures(entries),
    ]
    return html_page(parent.name, parts, script())


def _value(entry: Entry) -> tuple[float, int]:
    assert entry.told.value is not None, "only those that have one are sorted"
    return entry.told.value, entry.told.place


def _name(told: Told, every: Sequence[Told]) -> str:
    short = short_names(sorted({name for each in every for name in each.params}))
    return " ".join(f"{short[name]}={_said(value)}" for name, value in told.params.items())


def _said(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _summary(
    listed: Listed, entries: Sequence[Entry], best: Sequence[Entry], noise: Noise, chosen_by: Objective
) -> list[str]:
    done, pruned = listed.counts[TrialStatus.DONE], listed.counts[TrialStatus.PRUNED]
    failed = listed.counts[TrialStatus.FAILED]
    said = [
        f"{listed.ended} of {listed.total} trials: {done} to their end, {pruned} pruned, {failed} failed. "
        f"It is {listed.state}."
    ]
    if best:
        value = chosen_by.shown(best[0].told.value or 0.0)
        said.append(f"Best: {best[0].name} with {chosen_by.label} {value:.4f} (run {best[0].told.run_id}).")
    said += noise.said if len(best) > 1 else []
    said += _saved(entries)
    return said


def _saved(entries: Sequence[Entry]) -> list[str]:
    """Updates that did not have to be trained, and the time that they would have taken."""
    whole = [entry.run for entry in entries if entry.run and entry.told.state is TrialStatus.DONE]
    seconds = sum(run.metrics.get("train/seconds", 0.0) for run in whole)  # what was taken over is in it
    updates = sum(int(run.params["train.updates"]) for run in whole)
    pruned = sum(
        int(e.run.params["train.updates"]) - (e.told.last_step or 0)
        for e in entries
        if e.told.state is TrialStatus.PRUNED and e.run
    )
    taken = sum(int(e.run.tags.get("taken_updates", 0)) for e in entries if e.run)
    if not updates or not (pruned or taken):
        return []
    ways = [
        f"{count} by {how}" for count, how in ((pruned, "pruning"), (taken, "taking over what was trained")) if count
    ]
    every = sum(int(entry.run.params["train.updates"]) for entry in entries if entry.run)
    return [
        f"Of {every} updates {pruned + taken} were not trained ({', '.join(ways)}): "
        f"about {duration((pruned + taken) * seconds / updates)} saved."
    ]


_HEADS = ["left", "at update", "anchors beaten", "seconds", "peak GB", "adapter MB", "run"]


def _row(entry: Entry, best: Sequence[Entry], noise: Noise, chosen_by: Objective) -> list[str]:
    def shown(name: str, form: str) -> str:
        value = entry.metric(name)
        return "–" if value is None else format(value, form)

    alike = " ≈" if entry is not best[0] and entry.told.run_id in noise.alike else ""
    taken = " (taken over)" if entry.run is not None and "taken_from" in entry.run.tags else ""
    return [
        str(entry.told.place),
        entry.name + taken,
        f"{chosen_by.shown(entry.told.value or 0.0):.4f}{alike}",
        "–" if entry.run is None else left_said(entry.run.metrics),
        shown("valid/best_step", ".0f"),
        (entry.run and entry.run.judged) or "–",
        shown("train/seconds", ".0f"),
        shown("memory/peak_gb", ".2f"),
        shown("adapter/megabytes", ".1f"),
        entry.told.run_id or "–",
    ]


def _settings(best: Sequence[Entry]) -> list[str]:
    """The best one's whole configuration."""
    parts = []
    for entry in best:
        if entry.run is not None:
            lines = "\n".join(f"{name}={value}" for name, value in sorted(entry.run.params.items()))
            parts.append(f"<details><summary>All settings of the best</summary><pre>{escape(lines)}</pre></details>")
    return parts


def _sampled(store: Store, best: Sequence[Entry]) -> list[str]:
    """What the best wrote on the same prompts, side by side."""
    texts = {entry.name: _texts(store, entry) for entry in best if entry.run is not None}
    prompts = list(dict.fromkeys(theme for of in texts.values() for theme in of))
    if not prompts:
        return []
    rows = [[theme, *(of.get(theme, "–") for of in texts.values())] for theme in prompts]
    return ["<h2>Texts of the best</h2>", table(["prompt", *texts], rows, kind="texts")]


def _texts(store: Store, entry: Entry) -> dict[str, str]:
    assert entry.told.run_id is not None, "it has a run"
    table = table_of(store, entry.told.run_id, run_folder.SAMPLES_TABLE)
    return {str(row["theme"]): str(row["text"]) for row in table}


def _plots(plots: Iterable[Plot]) -> Iterable[str]:
    for plot in plots:
        yield f"<h2>{escape(plot.title)}</h2>"
        if plot.note:
            yield f"<p class=note>{escape(plot.note)}</p>"
        yield plot.html


def _failures(entries: Sequence[Entry]) -> list[str]:
    rows = [[str(e.told.place), e.name, e.told.failure or "?"] for e in entries if e.told.state is TrialStatus.FAILED]
    return ["<h2>Failed</h2>", table(["trial", "", "why"], rows)] if rows else []
