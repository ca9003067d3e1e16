"""Inputs of passages asked of an endpoint that misbehaves: each bad reply costs itself, what was paid for is kept."""

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from harness.config.paths import ROOT
from harness.config.schema import PrepareCommand, SourceConfig
from harness.console.interrupt import Interrupted, requests_heeded
from harness.data.kinds import Kind
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError
from tests.conftest import compose_config
from tests.judge_server import Habits, judge_server

PERSONA = ROOT / "data" / "persona"
PASSAGES: list[dict[str, str]] = json.loads((PERSONA / "passages.json").read_text("utf-8"))
NAMES = ("neutral", "plain", "abstract")


def asked_of(question: str) -> tuple[dict[str, str], str]:
    """The shipped passage that a question is about, and which input it asks for."""
    passage = next(each for each in PASSAGES if each["passage"] in question)
    marks = {"neutral": "neutral prose", "plain": "leave information out", "abstract": "replaced by placeholders"}
    return passage, next(name for name, mark in marks.items() if mark in question)


def by_hand(question: str) -> str:
    """What the shipped passages have as their inputs."""
    passage, name = asked_of(question)
    return passage[name]


@dataclasses.dataclass
class Bench:
    habits: Habits
    url: str
    folder: Path
    usual: dict[str, Any]
    said: list[str] = dataclasses.field(default_factory=list)
    served: list[str] = dataclasses.field(default_factory=list)

    def _serve(self, model: str) -> AbstractContextManager[str]:
        self.served.append(model)
        return nullcontext(self.url)

    def rows(self, path: Path = PERSONA / "passages.json", **settings: Any) -> list[Found | Rejected]:
        values = self.usual | {"base_url": self.url, "model": "m", "retries": 1, "timeout_seconds": 5.0} | settings
        tools = Tools(count_tokens=None, say=self.said.append, cache=self.folder / "cache", serve=self._serve)
        return list(find_source("pairs", values).rows(path, tools))

    @property
    def questions(self) -> list[str]:
        """Those of the server so far, without the greeting."""
        told = [each["messages"][-1]["content"] for each in self.habits.requests]
        return [each for each in told if "Say hello" not in each]

    def some(self, count: int) -> Path:
        path = self.folder / "some.json"
        path.write_text(json.dumps(PASSAGES[:count]), encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def usual() -> dict[str, Any]:
    """What conf/source/pairs.yaml says, besides what every source has."""
    composed = compose_config("source=pairs", "source.path=x", command=PrepareCommand, config_name="prepare").source
    common = {field.name for field in dataclasses.fields(SourceConfig)}
    return {name: value for name, value in composed.items() if name not in common} | {"key_env": None}


@pytest.fixture
def bench(tmp_path: Path, usual: dict[str, Any]) -> Iterator[Bench]:
    habits = Habits(says=by_hand)
    with judge_server(habits) as url:
        yield Bench(habits, url, tmp_path, usual)


def kinds(rows: Sequence[Found | Rejected]) -> dict[str, Kind]:
    """Of what was rejected, by number of the passage and name of the input."""
    return {row.origin.rpartition("passage ")[2]: row.kind for row in rows if isinstance(row, Rejected)}


def found(rows: Sequence[Found | Rejected]) -> list[Found]:
    return [row for row in rows if isinstance(row, Found)]


def test_each_passage_has_its_inputs_as_rows_of_the_preset(bench: Bench) -> None:
    rows = found(bench.rows())
    shipped = [
        json.loads(line)
        for name in ("train", "valid")
        for line in (PERSONA / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    told = [{**row.line, "label": row.label} for row in rows]
    assert len(told) == 36 and sorted(told, key=str) == sorted(shipped, key=str)
    assert [row.label for row in rows] == list(NAMES) * 12
    assert len({row.group for row in rows}) == 12 and len({row.group for row in rows[:3]}) == 1
    assert {(row.lineage["model"], len(row.lineage["prompt"])) for row in rows} == {("m", 12)}
    assert len({row.lineage["prompt"] for row in rows}) == 3
    assert all("response_format" not in request for request in bench.habits.requests)


def test_a_model_of_this_machine_is_served_while_it_is_asked(bench: Bench) -> None:
    for _ in range(2):  # the second time all is in the cache
        rows = found(bench.rows(bench.some(2), serve=True, base_url=None))
        assert len(rows) == 6 and rows[0].lineage["model"] == "m" and bench.served == ["m"]
    assert {request["model"] for request in bench.habits.requests} == {"default_model"}
    with pytest.raises(SettingError, match="serve=true starts a server of its own; leave out source.base_url"):
        bench.rows(serve=True)


def test_the_same_command_again_asks_nothing(bench: Bench) -> None:
    passages = bench.some(4)
    first = bench.rows(passages)
    asked = len(bench.habits.requests)
    assert asked == 13
    assert bench.rows(passages) == first and len(bench.habits.requests) == asked
    assert "about 0 calls" in bench.said[-2] and "12 are in the cache" in bench.said[-2]
    assert bench.said[-1].startswith("0 calls (0 tried again), 13 from the cache")


def test_several_are_asked_at_a_time(bench: Bench) -> None:
    pair = threading.Barrier(2)

    def says(question: str) -> str:
        pair.wait(timeout=10)  # alone, a question gets no answer
        return by_hand(question)

    bench.habits.says = says
    assert len(found(bench.rows(bench.some(2), concurrency=2, retries=0))) == 6


def _wrong(replies: dict[tuple[int, str], str]) -> Callable[[str], str]:
    """Other replies to what is asked of a passage, by its number from 1."""

    def says(question: str) -> str:
        passage, name = asked_of(question)
        return replies.get((PASSAGES.index(passage) + 1, name), passage[name])

    return says


def test_what_is_no_input_is_rejected_by_kind_and_costs_itself_alone(bench: Bench) -> None:
    wrong = {
        (1, "neutral"): ("I'm sorry, but as an AI I can't rewrite this.", Kind.REFUSED),
        (1, "plain"): ("抱歉，我无法改写这段文字。", Kind.REFUSED),
        (2, "neutral"): (PASSAGES[1]["passage"], Kind.COPIED),
        (3, "plain"): (PASSAGES[2]["neutral"] + " " + PASSAGES[2]["plain"], Kind.LEFT_IN),
        (3, "abstract"): (PASSAGES[2]["plain"], Kind.LEFT_IN),
        (4, "neutral"): ("The passage describes a heron. It stands below a gate.", Kind.META),
        (5, "neutral"): ("", Kind.EMPTY),
        (5, "plain"): ("An inspector comes. He lies down and", Kind.CUT),
        (6, "plain"): ("A pair came.\n\n### Response:\nThey left.", Kind.TEMPLATE),
    }
    bench.habits.says = _wrong({place: reply for place, (reply, _) in wrong.items()})
    rows = bench.rows(bench.some(6))
    assert kinds(rows) == {f"{number}, {name}": kind for (number, name), (_, kind) in wrong.items()}
    assert len(found(rows)) == 18 - len(wrong)
    refused = next(row for row in rows if isinstance(row, Rejected))
    assert refused.reason == "it refuses: I'm sorry, but" and refused.start.startswith("I'm sorry")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("refuse", Kind.REFUSED),
        ("cut", Kind.CUT),
        ("nonsense", Kind.NO_REPLY),
        ("fail", Kind.NO_REPLY),
        ("limit", Kind.NO_REPLY),
    ],
)
def test_a_reply_that_the_endpoint_spoils_costs_itself_alone(fault: str, kind: Kind, bench: Bench) -> None:
    bench.habits.faults = [fault]
    rows = bench.rows(bench.some(2), concurrency=1, retries=0, attempts=1)
    assert kinds(rows) == {"1, neutral": kind} and len(found(rows)) == 5


def test_garbage_is_a_rejected_row(bench: Bench) -> None:
    def body(question: str, answer: str) -> bytes:
        return b'{"choices": [{"mess' if asked_of(question)[1] == "plain" else completion(answer)

    def completion(answer: str) -> bytes:
        message = {"role": "assistant", "content": answer}
        return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()

    bench.habits.body = body
    rows = bench.rows(bench.some(1), attempts=1)
    assert kinds(rows) == {"1, plain": Kind.UNREADABLE} and len(found(rows)) == 2


def test_limits_of_the_endpoint_are_waited_for(bench: Bench) -> None:
    bench.habits.faults = ["limit", "limit", "fail"]
    assert kinds(bench.rows(bench.some(1), retries=3)) == {}
    assert "(3 tried again)" in bench.said[-1]


def test_what_cannot_be_used_is_asked_for_again_with_the_reason(bench: Bench) -> None:
    bench.habits.says = lambda question: by_hand(question) if "could not be used" in question else "As an AI, no."
    assert kinds(bench.rows(bench.some(1), concurrency=1)) == {}
    assert "A first reply could not be used: it refuses: As an AI." in bench.questions[1]
    assert len(bench.questions) == 6


def test_the_budget_ends_it_and_what_is_missing_is_said_and_gone_on_with(bench: Bench) -> None:
    passages = bench.some(4)
    rows = bench.rows(passages, max_calls=6)
    assert len(found(rows)) == 5 and set(kinds(rows).values()) == {Kind.NOT_ASKED}
    assert not Kind.NOT_ASKED.bad
    assert "source.max_calls=6 will not do for all" in bench.said[0]
    assert bench.said[-1].startswith(
        "warning: the budget of source.max_calls=6 is spent: 7 of 12 inputs are missing; raise it"
    )
    assert len(found(bench.rows(passages))) == 12 and len(bench.questions) == 12


def test_a_cost_is_estimated_and_counted(bench: Bench) -> None:
    prices = {"price_in": 10.0, "price_out": 100.0}  # each call has 100 tokens in and 20 out: 0.003
    rows = bench.rows(bench.some(2), **prices, max_cost=0.0125, concurrency=1)
    assert len(found(rows)) == 3  # and the greeting
    assert "source.max_cost=0.0125 will not do for all" in bench.said[0]
    assert bench.said[1].endswith("0.5 thousand tokens, 0.01")
    assert "source.max_cost=0.0125 is spent: 3 of 6 inputs are missing" in bench.said[2]
    bench.rows(bench.some(2), **prices)
    assert "about 3 calls" in bench.said[-2] and bench.said[-1].endswith("0.4 thousand tokens, 0.01")


def test_an_interrupted_command_is_gone_on_with(bench: Bench) -> None:
    def says(question: str) -> str:
        if len(bench.questions) == 6:
            os.kill(os.getpid(), signal.SIGINT)
            bench.habits.release.wait(10)
        return by_hand(question)

    bench.habits.says = says
    passages = bench.some(4)
    with requests_heeded(), pytest.raises(Interrupted):
        bench.rows(passages, concurrency=1)
    assert bench.said[-1] == "5 of 12 inputs are kept; the same command goes on with the rest"
    bench.habits.release.set()
    bench.habits.says = by_hand
    assert len(found(bench.rows(passages))) == 12
    assert len(bench.questions) == 13  # the one that was under way, again


def test_an_endpoint_that_falls_silent_ends_it(bench: Bench) -> None:
    bench.habits.always = "fail"
    with pytest.raises(HarnessError, match=r"m at http.* does not answer any more: no reply: status 500.*goes on"):
        bench.rows(retries=0, concurrency=2)
    assert len(bench.questions) < 14


def test_without_an_endpoint_nothing_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = bench.folder / "nowhere"
    with pytest.raises(SettingError, match=r"source.model must name the model .* say source.model=…"):
        bench.rows(nowhere, model=None)
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(HarnessError, match=r"a key in the environment variable NO_KEY \(source.key_env\); export it"):
        bench.rows(nowhere, base_url="https://example.org/v1", key_env="NO_KEY")
    with pytest.raises(HarnessError, match="source.base_url must not hold a key; .* variable .source.key_env"):
        bench.rows(nowhere, base_url="http://me:secret@127.0.0.1:9/v1")
    with pytest.raises(HarnessError, match="nowhere is not there"):
        bench.rows(nowhere)
    with pytest.raises(HarnessError, match="the model m at .* cannot be asked: no reply: .* see source.base_url"):
        bench.rows(base_url="http://127.0.0.1:9/v1", retries=0)


def test_prompts_may_be_added_and_left_out(bench: Bench) -> None:
    bench.habits.says = lambda question: "the bell" if question.startswith("A title") else by_hand(question)
    prompts = {"title": "A title for this: {passage}", "plain": None, "abstract": None}
    rows = found(bench.rows(bench.some(1), prompts=bench.usual["prompts"] | prompts))
    assert [row.label for row in rows] == ["neutral", "title"]
    assert "### Input:\nthe bell\n\n### Response:\nNow, there is a bell" in rows[1].line["text"]


def test_rows_take_another_preset(bench: Bench) -> None:
    chat = {"templates": {"base": "{chat}"}, "fields": {}}
    prompts = {"plain": bench.usual["prompts"]["plain"]}
    (row,) = found(bench.rows(bench.some(1), form=chat, system="Be her.", prompts=prompts, demands={}))
    assert [message["role"] for message in row.line["messages"]] == ["system", "user", "assistant"]
    assert row.line["messages"][2]["content"] == PASSAGES[0]["passage"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"prompts": {"neutral": "Rewrite it."}, "demands": {}}, r"source.prompts.neutral must hold \{passage\}"),
        ({"prompts": {"neutral": None}, "demands": {}}, "source.prompts must hold at least one"),
        ({"demands": {"plan": "placeholders"}}, "source.demands.plan must be of a prompt there is: neutral, plain"),
        ({"template": "bases"}, "source.template must be one of base, bare, but got bases"),
        (
            {"form": {"templates": {"base": "{role} {theme}"}, "fields": {}}},
            r"source.form.templates.base must hold no \{role\}: there is only system, theme, or \{chat\} alone",
        ),
        (
            {"form": {"templates": {"base": "x"}, "fields": {}}},
            r"source.form.templates.base must hold \{theme\}",
        ),
        ({"attempts": 0}, "source.attempts must be at least 1, but got 0"),
    ],
)
def test_settings_that_no_row_can_be_made_with_are_named(
    settings: dict[str, Any], complaint: str, bench: Bench
) -> None:
    with pytest.raises(SettingError, match=complaint):
        bench.rows(**settings)
    assert bench.habits.requests == []


def test_passages_come_as_lines_lists_and_files(bench: Bench) -> None:
    bench.habits.says = lambda question: "Somebody went somewhere. Nothing came of it."
    texts = [each["passage"] for each in PASSAGES[:3]]
    folder = bench.folder / "passages"
    folder.mkdir()
    (folder / "a.txt").write_text(texts[0], encoding="utf-16")
    lines = [{"text": texts[1], "lineage": {"book": "Lock"}}, {"text": texts[1]}, {"title": "x"}, {"text": " "}]
    (folder / "b.jsonl").write_text("\n".join([*map(json.dumps, lines), "{", "7"]), encoding="utf-8")
    (folder / "c.json").write_text(json.dumps([texts[2], {"passage": "She left.\n\n### Input:\nx"}]), encoding="utf-8")
    rows = bench.rows(folder, prompts={"neutral": "{passage}"}, demands={})
    assert [row.line["text"].partition("Response:\n")[2] for row in found(rows)] == texts
    assert [row.lineage.get("passage") for row in found(rows)] == [None, {"book": "Lock"}, None]
    rejected = [(Path(row.origin).name, row.kind) for row in rows if isinstance(row, Rejected)]
    assert rejected == [
        ("b.jsonl:2", Kind.DUPLICATE),
        ("b.jsonl:3", Kind.SHAPE),
        ("b.jsonl:4", Kind.EMPTY),
        ("b.jsonl:5", Kind.UNREADABLE),
        ("b.jsonl:6", Kind.TYPE),
        ("c.json, passage 2", Kind.TEMPLATE),
    ]
    assert len(bench.questions) == 3
