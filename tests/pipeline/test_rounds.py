"""Two whole rounds by the commands that a user would type, and a line of the second followed back to what made it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.config.paths import ROOT
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.files import write_json
from harness.reviewing.app import create_app
from harness.reviewing.desk import Desk
from harness.reviewing.events import Events
from harness.reviewing.judged import read_judged
from harness.rounds.chain import Link, links
from harness.rounds.lineage import lineage
from harness.rounds.record import EXPERIMENT
from harness.rounds.refine import refine
from harness.rounds.report import new_lines
from harness.rounds.state import Round, Rounds, read_rounds
from harness.rounds.steps import Command
from harness.tracking.queries import all_of_kind
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store
from harness.web.guard import Door
from tests.commands import run_command
from tests.conftest import QUICK
from tests.judge_server import judge_server
from tests.reviewing.served import Server
from tests.reviewing.written import ADA, QUEUE
from tests.rules_judge import rules_judge

CHROMIUM = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
TRAINED = [*QUICK, "name=round by round", "sweep.workers=0", "lora.rank=2,4"]

VERSES = {1: "河水慢慢\n把灯背走", 2: "山后的雪\n一夜没有说话\n天亮时都老了"}  # what a person makes of the first text


@dataclass
class Evening:
    """A person's folder of rounds. `ran`: each step's module; `fails`: the one that fails instead of running."""

    folder: Path
    store: Store
    given: dict[str, Any]
    ran: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    fails: str | None = None

    def go_on(self, **given: Any) -> Rounds:
        self.ran.clear()
        known = self.given | given
        return refine(self.folder, None, known, run=self._run, say=self.heard.append)

    def _run(self, command: Command) -> int:
        self.ran.append(command.module.removeprefix("harness."))
        if self.ran[-1] == self.fails:
            return 1
        ended = run_command("-m", command.module, *command.words, folder=Path.cwd())
        assert ended.returncode == 0, ended.stderr
        return ended.returncode

    def decide(self, current: Round) -> None:
        """One edited, one accepted as it is, the rest deleted, through the page's server."""
        with _page(current) as page:
            for decision, edited in (("edit", VERSES[current.number]), ("accept", None)):
                _say(page, decision, edited)
            while page.get("/api/view", params={"reviewer": ADA}).json()["item"] is not None:
                _say(page, "delete", None)


@contextmanager
def _page(current: Round) -> Iterator[TestClient]:
    events = Events(current.decided)
    try:
        desk = Desk(current.samples, events, read_judged(current.ranking), QUEUE)
        app = create_app(desk, Door(host="127.0.0.1", port=8400), about={}, export=list)
        yield TestClient(app, base_url="http://127.0.0.1:8400")
    finally:
        events.close()


def _say(page: TestClient, decision: str, edited: str | None) -> None:
    item = page.get("/api/view", params={"reviewer": ADA}).json()["item"]
    saying = {"reviewer": ADA, "item": item["key"], "revision": item["revision"], "request": item["key"]}
    assert page.post("/api/say", json=saying | {"decision": decision, "edited": edited}).status_code == 200


@pytest.fixture(scope="module")
def evening(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """A sweep on the shipped sample is trained; nothing of the round is done."""
    home = tmp_path_factory.mktemp("evening")
    poems = json.loads((ROOT / "data/poems.json").read_text("utf-8"))[:24]
    (home / "poems.json").write_text(json.dumps(poems), "utf-8")
    (home / "words.txt").write_text("河\n灯\n")
    with pytest.MonkeyPatch.context() as patch, judge_server(rules_judge()) as url:
        patch.chdir(home)
        run_command(*_PREPARE, folder=home, check=True)
        words = [*TRAINED, "data.path=first", f"tracking.uri={store.uri}"]
        run_command("-m", "harness.train", "-m", *words, folder=home, check=True)
        judge = ["judge=poetry", "judge.model=m", f"judge.base_url={url}", "judge.key_env=null", "judge.controls=0"]
        write = ["themes=words.txt", "generate.max_tokens=12", "n=2"]
        given = {"write": write, "judge": judge, "prepare": ["source.max_bad=0.5"], "tracking_uri": store.uri}
        yield Evening(home / "rounds", store, given)


_PREPARE = ["-m", "harness.prepare", "source.path=poems.json", "data.path=first", "model=tiny"]


def _first(link: Link, what: str) -> Link:
    return next(each for each in links(link) if each.what == what)


def test_two_rounds_end_with_lines_that_are_followed_back_to_the_first(evening: Evening) -> None:
    first = evening.go_on().rounds[0]
    assert evening.ran == ["generate", "judge"] and "now read and decide: python -m harness.review" in evening.heard[-2]
    assert evening.go_on().rounds[0] == first and evening.ran == []  # nobody has decided anything

    evening.decide(first)
    with pytest.raises(HarnessError, match="--from-weights needs the champion's own lora.rank, but"):
        evening.go_on(from_weights=True)
    kept = read_rounds(evening.folder)
    assert kept is not None and not kept.settings.from_weights, "what is refused is not in the way of the next try"
    second = evening.go_on(from_weights=True, vary=["train.learning_rate=1e-3,5e-3"]).rounds[1]
    assert evening.ran == ["review", "prepare", "train", "generate", "judge"]

    evening.decide(second)
    evening.fails = "train"
    with pytest.raises(HarnessError, match=r"harness.train ended with exit code 1; the same command goes on"):
        evening.go_on()
    assert evening.ran == ["review", "prepare", "train"]
    _forget_the_last_step(evening.folder)  # as if killed between MLflow and the folder's record
    evening.fails = "generate"
    with pytest.raises(HarnessError, match=r"harness.generate ended with exit code 1"):
        evening.go_on()
    assert evening.ran == ["train", "generate"]
    known = read_rounds(evening.folder)
    assert known is not None and len(known.rounds) == 3

    _check_lines(first, second)
    _check_lineage(evening, first, second)
    _check_told(evening, known)


def _forget_the_last_step(folder: Path) -> None:
    file = folder / "rounds.json"
    known = json.loads(file.read_text("utf-8"))
    assert known["rounds"][-1]["done"].pop() == "record"
    write_json(file, known)


def _check_lines(first: Round, second: Round) -> None:
    """Held out are the same rows from the first lines on; each round adds what was kept."""
    held_out = [(folder / "valid.jsonl").read_text("utf-8") for folder in (Path("first"), first.data, second.data)]
    assert len(set(held_out)) == 1
    rows = [_lines(folder / "train.jsonl") for folder in (Path("first"), first.data, second.data)]
    assert [len(each) - len(rows[0]) for each in rows] == [0, 2, 4]


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _check_lineage(evening: Evening, first: Round, second: Round) -> None:
    edited = next(place for place in new_lines(second) if place.read()["label"] == "edited")
    chain = lineage(str(edited), data=None, tracking=TrackingConfig(uri=evening.store.uri))
    decision, judge = _first(chain, "decision"), _first(chain, "judge")
    assert (decision.facts["by"], decision.facts["decision"], decision.lacks) == (ADA, "edit", ())
    assert "+山后的雪" in decision.facts["difference"]
    assert judge.facts["judges"].startswith("m") and judge.facts["rank"] is not None and judge.lacks == ()
    assert [_first(chain, what).lacks for what in ("line", "sample", "checkpoint")] == [(), (), ()]
    runs = [each for each in links(chain) if each.what == "run"]
    assert runs[0].lacks == () and runs[0].facts["kind"] == "trial"
    champion = next(each for each in links(chain) if each.what == "started from").of[0]
    assert champion.name in {each.name for each in runs[1:]} and champion.name != runs[0].name
    datas = [each for each in links(chain) if each.what == "data"]
    assert {each.name for each in datas} == {str(first.data), "first"} and all(each.lacks == () for each in datas)
    assert {each.name for each in links(chain) if each.what == "study"} == {second.sweep, first.sweep}


def _check_told(evening: Evening, known: Rounds) -> None:
    """Once in MLflow for each round, and on one page."""
    experiment = evening.store.find_experiment(EXPERIMENT)
    assert experiment is not None
    told = all_of_kind(evening.store, experiment, RunKind.ROUND)
    assert sorted(run.name for run in told) == ["rounds 1", "rounds 2"]
    assert all(run.metrics["round/kept_rate"] == pytest.approx(2 / run.metrics["round/decided"]) for run in told)
    assert all(0 <= run.metrics["round/judge_agreement"] <= 1 for run in told)
    assert told[0].params["scored_on"] == told[1].params["scored_on"]
    page = known.report.read_text("utf-8")
    assert all(f'href="{number}/lineage.html">round {number}: 2 new lines' in page for number in (1, 2))
    assert "+山后的雪" in known.rounds[1].lineage.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path (Debian: apt install chromium)")
def test_what_is_decided_in_a_browser_becomes_the_lines_of_the_next_round(evening: Evening) -> None:
    pytest.importorskip("playwright.sync_api", reason="needs Playwright: make env")
    by_browser = replace(evening, folder=evening.folder.with_name("by browser"), ran=[], heard=[], fails="train")
    first = by_browser.go_on().rounds[0]
    words = ["--ranking", str(first.ranking), "--pause", "0", "--repeats", "0", "--reviewer", ADA]
    with closing(Server(first.samples.resolve(), *words, "--tracking-uri", evening.store.uri)) as server:
        _decide_by_keys(server)
        assert "decisions.jsonl" in server.end()
    with pytest.raises(HarnessError, match=r"harness.train ended"):
        by_browser.go_on()
    labels = {place.read()["label"] for place in new_lines(first)}
    assert labels == {"edited", "accepted"} and by_browser.ran == ["review", "prepare", "train"]
    edited = next(place for place in new_lines(first) if place.read()["label"] == "edited")
    decision = _first(lineage(str(edited), data=None, tracking=TrackingConfig(uri=evening.store.uri)), "decision")
    assert decision.facts["by"] == ADA and "+山后的雪" in decision.facts["difference"]


def _decide_by_keys(server: Server) -> None:
    """One edited, one accepted, one deleted."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(server.url)
        page.wait_for_selector("body[data-phase=ready]")
        page.keyboard.press("e")
        page.locator("#box").fill(VERSES[2])
        for key in ("Control+Enter", "a", "d"):
            page.keyboard.press(key)
            page.wait_for_selector("body:not([data-phase=busy]):not([data-phase=resting])")
        browser.close()
