"""Measures and a judgement in the terminal. Knows nothing of how they came about."""

import dataclasses
from collections.abc import Iterator

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from harness.console.progress import Display
from harness.evaluation.contest import Judgement
from harness.evaluation.measures import SampleMeasures
from harness.evaluation.show_panel import show_panel
from harness.judging.agreement import Agreement
from harness.judging.controls import Controls
from harness.judging.likes import said_of_likes
from harness.judging.ranking import Standings
from harness.judging.verdicts import how_read

# measure, head of its column, form
_MEASURES = (
    ("length", "units", "{:.0f}"),
    ("line_length", "line", "{:.1f}"),
    ("sentence_variation", "rhythm", "{:.2f}"),
    ("own_words", "own", "{:.0%}"),
    ("novel", "novel", "{:.0%}"),
    ("memorised_run", "memory", "{:.1f}"),
    ("loops", "loops", "{:.0%}"),
    ("refusals", "refused", "{:.0%}"),
)
_PLACES = 10  # a table of more does not fit a terminal; the file has it whole


def show_measures(measured: SampleMeasures, path: str) -> None:
    """`path`: of the training texts."""
    shown = Table(title="measures", title_justify="left", box=SIMPLE)
    shown.add_column("", no_wrap=True)
    for _, head, _ in _MEASURES:
        shown.add_column(head, justify="right", no_wrap=True)
    rows = measured.references | {name: dataclasses.asdict(each) for name, each in measured.by_adapter.items()}
    for name, values in rows.items():
        shown.add_row(name, *(form.format(values[key]) if key in values else "–" for key, _, form in _MEASURES))
    Console(highlight=False, markup=False).print(shown)
    print(
        "units: characters of Chinese, words of other languages; line: units a line; rhythm: variation of the lengths "
        "of sentences; own: words that are the author's; novel: not in the prompt; memory: longest run taken from the "
        f"training texts in {path}"
    )


def show_leaderboard(judgement: Judgement, display: Display) -> None:
    contest = judgement.contest
    if contest.standings is None:
        display.say(f"no ranking: {contest.ended}")
    else:
        _show_standings(contest.standings, judgement.person)
        show_panel(contest.standings, judgement.person_by_judge)
    for line in [*_how_read(judgement), *trust(judgement)]:
        print(line)
    print(f"{_spent(judgement)}; {contest.ended}")


def trust(judgement: Judgement) -> Iterator[str]:
    """What is known of the judge, in lines."""
    standings = judgement.contest.standings
    if standings is not None:
        for name, effect in (("standing first", standings.first_place), ("e times the length", standings.length)):
            yield f"{name} is worth {effect.value:+.2f} ± {effect.stderr:.2f} to the judge, and is taken out"
    if judgement.controls is not None:
        yield from _controls(judgement.controls)
    for agreement in judgement.agreements:
        yield agreement.said
    for judge, told in judgement.likes.items():
        if (line := said_of_likes(judge, told)) is not None:
            yield line
    for stability in judgement.stability:
        yield stability.said
    if judgement.lesson is not None:
        yield judgement.lesson.said


def _show_standings(standings: Standings, person: Agreement | None) -> None:
    shown = Table("", "adapter", "rating", "95 %", "first", "blocks", title_justify="left", box=SIMPLE)
    shown.title = "who wrote better" + ("" if person is None else f" (judged as the person decided: {person.figure})")
    for rating in standings.ratings:
        shown.add_row(
            str(rating.tie),
            rating.adapter,
            f"{rating.value:+.2f} ± {rating.stderr:.2f}",
            f"{rating.low:+.2f} … {rating.high:+.2f}",
            f"{rating.first:.0%}",
            str(rating.blocks),
        )
    Console(highlight=False, markup=False).print(shown)
    print(
        "adapters of one number cannot be told apart; ratings are logits about the mean; first: in how many of the "
        "resamples it comes first"
    )
    if 2 < len(standings.ratings) <= _PLACES:
        _show_places(standings)


def _show_places(standings: Standings) -> None:
    """How often each adapter comes to each place."""
    numbers = [f"{place}." for place in range(1, len(standings.ratings) + 1)]
    shown = Table("adapter", title="places in the resamples", title_justify="left", box=SIMPLE)
    for number in numbers:
        shown.add_column(number, justify="right", no_wrap=True)
    for rating in standings.ratings:
        shown.add_row(rating.adapter, *(f"{share:.0%}" if share >= 0.005 else "–" for share in rating.places))
    Console(highlight=False, markup=False).print(shown)


def _controls(controls: Controls) -> Iterator[str]:
    for label, share in (
        ("first of two called better", controls.first_place),
        ("identical texts told apart", controls.false_differences),
        ("text preferred to its own words shuffled", controls.shuffled_beaten),
        ("text preferred to the author's on the same theme", controls.training_beaten),
        ("text with orders to the judge preferred to itself without", controls.injection),
    ):
        if share is not None:
            yield f"{label}: {share:.0%}"
    if controls.unscored:
        yield f"{controls.unscored} of {controls.pairs + controls.unscored} control pairs could not be scored"
    for doubt in controls.doubts:
        yield f"warning: {doubt}"


def _how_read(judgement: Judgement) -> Iterator[str]:
    if unscored := judgement.unscored:
        yield f"{len(unscored)} of {len(judgement.verdicts)} questions are unscored; the first: {unscored[0]}"
    counts = how_read(judgement.verdicts)
    if counts["leniently"]:
        past = ", ".join(f"{name.removeprefix('past ')} {count}" for name, count in counts.items() if "past " in name)
        yield f"{counts['leniently']} replies were not the one object asked for, and were read past {past}"


def _spent(judgement: Judgement) -> str:
    spending = judgement.spending
    cost = f", {spending.cost:.2f}" if spending.cost else ""
    tokens = spending.tokens_in + spending.tokens_out
    return f"{spending.calls} calls and {tokens} tokens paid{cost}, {spending.cached} from the cache"
