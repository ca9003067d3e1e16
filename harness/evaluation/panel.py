"""Where judging meets the endpoints: samples in, verdicts, standings and scores out.

Knows nothing of runs: who keeps what was found is the caller's business.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.config.paths import MLRUNS
from harness.config.schema import JudgeConfig, ModelConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.files import write_text
from harness.judging.agreement import Agreement, between_judges, with_people
from harness.judging.anchors import ANCHOR, Measured, anchored_blocks, win_rate
from harness.judging.blocks import Block, Entry
from harness.judging.contest import Contest, hold, planned_calls
from harness.judging.controls import Controls, check, control_blocks
from harness.judging.rubric import Mark, Rubric
from harness.judging.verdicts import Judge, Verdict, gathered
from harness.llm.cache import ReplyCache
from harness.llm.chat import Chat
from harness.llm.endpoint import Endpoint
from harness.llm.serve import SERVED, served
from harness.llm.spending import Limits, Spending
from harness.models.base import open_base
from harness.sampling.samples import Origin, Sample, read_samples
from harness.textstats.units import units
from harness.tracking.traces import Call

_REPLY_TOKENS = 120  # of a reply as it usually is, for the estimate
_CALLS_A_CONTROL = 28  # 7, and at most a quarter of a small budget
_ABOVE = 450  # tokens of rubric and orders around the texts


@dataclass(frozen=True)
class Judgement:
    """What a judging came to. `scores`: marks by the text's id."""

    contest: Contest
    controls: Controls | None
    agreements: list[Agreement]
    scores: dict[str, dict[str, Mark]]
    verdicts: list[Verdict]
    spending: Spending


@dataclass(frozen=True)
class Scored:
    """What a run's judging came to; `asked`: the verdicts on control pairs."""

    measured: Measured
    controls: Controls | None
    asked: list[Verdict]
    spending: Spending


def rubric_of(judge: JudgeConfig) -> Rubric:
    return Rubric(judge.task, judge.criteria)


def write_rubric(file: Path, rubric: Rubric) -> None:
    write_text(file, yaml.safe_dump(dataclasses.asdict(rubric), allow_unicode=True, sort_keys=False))


def spending_of(judge: JudgeConfig) -> Spending:
    return Spending(Limits(judge.max_calls, judge.max_tokens, judge.max_cost, judge.price_in, judge.price_out))


def entries_of(samples: Sequence[Sample], names: Mapping[Origin, str]) -> list[Entry]:
    """The samples to be judged: of an adapter's texts on a theme that say the same, the first alone."""
    owners = {entry.id: names[entry.origin] for entry in samples}
    return [
        Entry(
            entry.id,
            owners[entry.id],
            entry.theme,
            f"{entry.variant} {entry.index}",
            entry.text or "(nothing)",
            len(units(entry.text)),
        )
        for entry in samples
        if entry.duplicate_of is None or owners.get(entry.duplicate_of) != owners[entry.id]
    ]


def estimate(judge: JudgeConfig, entries: Sequence[Entry], controls: int) -> str:
    """Calls, tokens and cost of a contest, in a line."""
    judges = 1 + (judge.second_model is not None)
    first, every = planned_calls(entries, judge.block, judge.seed)
    other = controls + (len(entries) if judge.scores else 0)
    length = sum(map(_tokens, (entry.text for entry in entries))) / max(len(entries), 1)

    def said(calls: int) -> str:
        tokens_in, tokens_out = calls * (_ABOVE + judge.block * length), calls * _REPLY_TOKENS
        cost = spending_of(judge).limits.price(tokens_in, tokens_out)
        return f"{calls} calls, {(tokens_in + tokens_out) / 1000:.0f} thousand tokens{f', {cost:.2f}' if cost else ''}"

    return (
        f"about {said(first * judges + other)} for the first round and controls, at most {said(every * judges + other)}"
    )


def judge_contest(
    judge: JudgeConfig, entries: Sequence[Entry], training: Mapping[str, str], display: Display
) -> Judgement:
    """Rank the adapters; with what is left of the budget controls and scores.

    Raises:
        HarnessError: when the judge cannot be asked at all.
    """
    pairs = judge.controls if judge.max_calls is None else min(judge.controls, judge.max_calls // _CALLS_A_CONTROL)
    blocks = control_blocks(entries, training, pairs=pairs, seed=judge.seed)
    display.say(f"judging {len(entries)} texts: {estimate(judge, entries, len(blocks))}")
    spending = spending_of(judge)

    async def work(tell: Callable[[Verdict], object]) -> Judgement:
        async with _judges(judge, spending, display) as judges:
            controls, asked = (await check(judges[0], blocks, tell)) if blocks else (None, [])
            contest = await hold(judges, entries, block=judge.block, seed=judge.seed, tell=tell)
            scored: list[Verdict] = []
            if judge.scores:
                singles = [Block(entry.theme, [entry]) for entry in entries]
                scored = (await gathered([judges[0].score(single) for single in singles], tell)).done
            scores = {each.ids[0]: each.scores for each in scored if each.scores is not None}
            verdicts = [*contest.verdicts, *asked, *scored]
            agreements = [found for found in (between_judges(contest.verdicts),) if found is not None]
            return Judgement(contest, controls, agreements, scores, verdicts, spending)

    _, most = planned_calls(entries, judge.block, judge.seed)
    total = most * (1 + (judge.second_model is not None)) + len(blocks) + (len(entries) if judge.scores else 0)
    with display.texts(total, "judging", "calls") as counted:
        return asyncio.run(work(lambda verdict: counted(0)))


def judge_against_anchors(
    judge: JudgeConfig,
    entries: Sequence[Entry],
    anchors: Mapping[str, Sequence[Entry]],
    training: Mapping[str, str],
    display: Display,
    *,
    report: Callable[[int, float], bool] = lambda number, lost: False,
) -> Scored:
    """The share of anchors that the texts beat, theme by theme; and controls.

    These are made of the anchors, the same for every run: the first of a sweep pays for them.

    Raises:
        HarnessError: when the judge cannot be asked at all.
    """
    blocks = anchored_blocks(entries, anchors, judge.seed)
    frozen = [entry for of_theme in anchors.values() for entry in of_theme]
    pairs = control_blocks(frozen, training, pairs=judge.controls, seed=judge.seed)
    spending = spending_of(judge)

    async def work(tell: Callable[[Verdict], object]) -> Scored:
        async with _judges(judge, spending, display) as judges:
            measured = await win_rate(judges, blocks, at_once=judge.concurrency, report=report, tell=tell)
            controls, asked = (await check(judges[0], pairs, tell)) if pairs else (None, [])
            return Scored(measured, controls, asked, spending)

    total = len(blocks) * (1 + (judge.second_model is not None)) + len(pairs)
    with display.texts(total, "judging", "calls") as counted:
        return asyncio.run(work(lambda verdict: counted(0)))


def control_metrics(controls: Controls | None) -> dict[str, float]:
    """By name; what could not be scored has none."""
    shares = {} if controls is None else dataclasses.asdict(controls)
    return {f"judge/control_{name}": float(value) for name, value in shares.items() if value is not None}


def anchor_entries(samples: Sequence[Sample], per_theme: int) -> dict[str, list[Entry]]:
    """The first so many different texts on each theme."""
    found: dict[str, list[Entry]] = {}
    for entry in samples:
        of_theme = found.setdefault(entry.theme, [])
        if len(of_theme) < per_theme and entry.text not in [other.text for other in of_theme]:
            of_theme.append(
                Entry(
                    entry.id, ANCHOR, entry.theme, str(len(of_theme)), entry.text or "(nothing)", len(units(entry.text))
                )
            )
    return found


def read_anchors(judge: JudgeConfig) -> list[Sample]:
    """The frozen texts of judge.anchors.

    Raises:
        HarnessError: when the file is none of samples.
    """
    assert judge.anchors is not None, "only then is there a file"
    try:
        return read_samples(Path(judge.anchors).expanduser())
    except HarnessError as error:
        raise HarnessError(str(error).replace("samples=", "judge.anchors=", 1)) from error


def try_judges(judge: JudgeConfig, display: Display) -> None:
    """Ask each judge once; a local one is only looked for.

    Raises:
        HarnessError: when one cannot be asked.
    """
    if judge.serve:
        local_folder(judge)
        return

    async def ask() -> None:
        async with _judges(judge, spending_of(judge), display):
            pass

    asyncio.run(ask())


def trust(judgement: Judgement) -> Iterator[str]:
    """What is known of the judge, in lines."""
    standings, controls = judgement.contest.standings, judgement.controls
    if standings is not None:
        for name, effect in (("standing first", standings.first_place), ("e times the length", standings.length)):
            yield f"{name} is worth {effect.value:+.2f} ± {effect.stderr:.2f} to the judge, and is taken out"
    if controls is not None:
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
    for agreement in judgement.agreements:
        yield agreement.said


def agreement_with_people(judgement: Judgement, decisions: Mapping[str, str]) -> Judgement:
    found = with_people(judgement.contest.verdicts, decisions)
    return dataclasses.replace(judgement, agreements=[*judgement.agreements, *([found] if found else [])])


def calls_of(verdicts: Sequence[Verdict]) -> list[Call]:
    """For MLflow's traces; what came from the cache was traced when it was paid for."""
    now = int(time.time() * 1000)
    return [
        Call(f"{each.kind}: {each.theme}"[:80], each.judge, each.prompt, each.reply, each.unscored, now, each.seconds)
        for each in verdicts
        if not each.cached
    ]


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """For MLflow's table."""
    return [
        {
            "theme": each.theme,
            "ranking": " > ".join(each.adapters[place] for place in each.order),
            "explanation": each.explanation,
            "unscored": each.unscored or "",
            "kind": each.kind,
            "judge": each.judge,
            "reply": each.reply,
        }
        for each in verdicts
    ]


@contextmanager
def endpoints(judge: JudgeConfig) -> Iterator[list[Endpoint]]:
    """The judges' endpoints; a local server is there inside."""
    assert judge.model is not None, "check_judge comes first"
    second = judge.second_model
    others = [] if second is None else [_endpoint(judge, second, judge.second_base_url, judge.second_key_env)]
    if not judge.serve:
        yield [_endpoint(judge, judge.model, judge.base_url, judge.key_env), *others]
        return
    with served(local_folder(judge)) as url:
        local = _endpoint(judge, SERVED, url, None)
        yield [dataclasses.replace(local, name=f"{judge.model} (served here)"), *others]


def local_folder(judge: JudgeConfig) -> str:
    """Of the judge that is to be served; fetched if it is a hub name that is not here yet.

    Raises:
        HarnessError: when there is no such model.
    """
    try:
        return str(open_base(ModelConfig(path=judge.model, revision=None)).folder)
    except HarnessError as error:
        raise HarnessError(str(error).replace("model.path", "judge.model", 1)) from error


def _endpoint(judge: JudgeConfig, model: str, base_url: str | None, key_env: str | None) -> Endpoint:
    return Endpoint(
        base_url=base_url,
        model=model,
        name=model if base_url is None else f"{model} at {base_url}",
        key_env=key_env,
        timeout_seconds=judge.timeout_seconds,
        retries=judge.retries,
        concurrency=judge.concurrency,
        temperature=judge.temperature,
        max_tokens=judge.reply_tokens,
    )


@asynccontextmanager
async def _judges(judge: JudgeConfig, spending: Spending, display: Display) -> AsyncIterator[list[Judge]]:
    """The judges, each tried once."""
    cache = ReplyCache(MLRUNS / "cache" / "replies.sqlite")
    rubric = rubric_of(judge)
    async with AsyncExitStack() as stack:
        found = []
        for endpoint in stack.enter_context(endpoints(judge)):
            chat = await stack.enter_async_context(Chat(endpoint, spending, cache))
            if (warning := await chat.probe()) is not None:
                display.say(f"warning: {warning}")
            found.append(Judge(endpoint.name, chat.ask, rubric))
        yield found


def _tokens(text: str) -> float:
    """About: a Chinese character each, four letters of other languages."""
    wide = sum(ord(each) > 0x2E80 for each in text)
    return wide + (len(text) - wide) / 4


def read_decisions(path: str | None) -> dict[str, str]:
    """A person's decisions by the id of the sample.

    Raises:
        HarnessError: naming the line that is none.
    """
    import json

    if path is None:
        return {}
    file, found = Path(path).expanduser(), {}
    if not file.is_file():
        raise HarnessError(f"judge.decisions={path} is not there; leave it out, or give a file of decisions")
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            found[str(record["id"])] = str(record["decision"])
        except (ValueError, KeyError, TypeError) as error:
            raise HarnessError(f'{file}:{number} must be {{"id": …, "decision": …}}: {error!r}') from error
    return found
