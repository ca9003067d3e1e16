"""Texts measured and judged: a file of samples, a run, a sweep, and a judge that cannot judge."""

import json
import re
import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.config.overrides import prepare
from harness.config.read_axes import read_space
from harness.config.schema import Config, JudgeCommand, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.evaluation.samples import measure_and_judge
from harness.models.base import Base
from harness.multirun.context import Worker
from harness.multirun.other_terminal import print_sweeps
from harness.multirun.report import page
from harness.multirun.sweep import SweepResult, run_sweep
from harness.multirun.table import print_sweep
from harness.run.context import RunHooks, RunPlace
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.sampling.samples import Sample, write_in_order
from harness.sweeping.listing import find_study
from harness.sweeping.storage import open_studies
from harness.tracking.queries import UNSCORED, get, newest, table_of, trials
from harness.tracking.store import Store
from tests.conftest import QUICK, compose_config
from tests.graded import POEMS, damaged, shuffled
from tests.judge_server import Habits, judge_server
from tests.rules_judge import rules_judge, worth
from tests.updates import at_update

THEMES = ["河", "灯", "雨", "山", "雪", "海"]  # the poems have them all
SERVED = ["judge=poetry", "judge.model=builtin:tiny", "judge.serve=true", "judge.reply_tokens=12"]
# six updates teach the tiny base to break lines; without them it writes noise
LEARNS_OR_NOT = ["train.learning_rate=5e-3,1e-9", "generate.max_tokens=24"]
JUDGE = ["judge=poetry", "judge.model=m", "judge.key_env=null", "judge.timeout_seconds=20"]


def _sample(adapter: str | None, theme: str, text: str, seed: int) -> Sample:
    return Sample(
        base="builtin:tiny",
        adapter=adapter,
        run=adapter and adapter * 8,
        iteration=6 if adapter else None,
        scale=1.0,
        theme=theme,
        variant="base",
        code=6 if adapter else None,
        index=0,
        prompt=theme,
        seed=seed,
        temperature=0.8,
        top_p=0.95,
        max_tokens=40,
        text=text,
        tokens=10,
        seconds=0.1,
        finish_reason="stop",
    )


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Of an adapter that writes poems, one that spoils a fifth of the characters, and a base that spoils more."""
    spoilt = {None: 0.6, "good": 0.0, "fair": 0.2}
    entries = [
        _sample(adapter, theme, damaged(POEMS[theme], share, seed=0), number)
        for number, theme in enumerate(THEMES)
        for adapter, share in spoilt.items()
    ]
    entries += [_sample("good", "河", entries[1].text, 99)]  # says the same again
    write_in_order(tmp_path / "s.jsonl", entries)
    return tmp_path / "s.jsonl"


@pytest.fixture
def habits() -> Habits:
    return rules_judge()


@pytest.fixture
def url(habits: Habits) -> Iterator[str]:
    with judge_server(habits) as found:
        yield found


def _judge(store: Store, samples: Path, *overrides: str) -> dict[str, Any]:
    words = ["name=judging", f"samples={samples}", f"tracking.uri={store.uri}", *overrides]
    out = samples.with_name("ranking.json")
    measure_and_judge(compose_config(*words, command=JudgeCommand, config_name="judge"), out, Display())
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return found


def _marks(found: dict[str, Any], adapter: str) -> float:
    """The mean mark of an adapter's texts."""
    shown = [pair for each in found["verdicts"] for pair in zip(each["ids"], each["adapters"], strict=True)]
    own = {text for text, by in shown if by == adapter}
    return statistics.fmean(mark["score"] for text in own for mark in found["scores"].get(text, {}).values())


def test_without_a_judge_texts_are_measured_and_nobody_is_asked(
    samples: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _judge(store, samples)
    assert set(found) == {"measures"}
    assert set(found["measures"]["references"]) == {"training", "held out", "base"}
    assert "memorised" not in found["measures"]["references"]["training"]
    assert "goodgood@6" in capsys.readouterr().out


def test_texts_measured_against_what_their_run_was_not_trained_on_are_said(
    store: Store, tmp_path: Path, poems: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _train(store)
    found = _judge(store, run.folder / "samples.jsonl")
    assert set(found["measures"]["references"]) == {"training", "held out"}
    assert "was trained on" not in capsys.readouterr().err
    shutil.copytree(poems, tmp_path / "other")
    _judge(store, run.folder / "samples.jsonl", f"data.path={tmp_path / 'other'}")
    assert f"run {run.run_id} was trained on {poems}, but texts are measured against" in capsys.readouterr().err


def test_adapters_are_ranked_and_all_of_it_is_in_mlflow(
    samples: Path, store: Store, url: str, habits: Habits, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _judge(store, samples, *JUDGE, f"judge.base_url={url}", "judge.scores=true")
    assert [entry["adapter"] for entry in found["ranking"]] == ["goodgood@6", "fairfair@6", "base"]
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in found["ranking"])
    assert found["ranking"][0]["run"] == "good" * 8 and found["ranking"][0]["iteration"] == 6
    assert found["top"]["河"][0]["adapter"] == "goodgood@6" and found["unscored"] == 0
    assert len(found["scores"]) == 18  # each text once: not the one that says the same
    assert _marks(found, "goodgood@6") > _marks(found, "fairfair@6") > _marks(found, "base")
    assert found["controls"]["shuffled_beaten"] == 1
    assert found["controls"]["false_differences"] == 0 and found["spent"]["calls"] == len(habits.requests)
    shown = capsys.readouterr()
    assert "goodgood@6" in shown.out and "standing first is worth" in shown.out and "warning: the" not in shown.out
    assert "about 6 calls" not in shown.err

    (run,) = store.client.search_runs([store.experiment_id("judging")], "tags.kind = 'judge'", max_results=1)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["judge/rating goodgood_6"] > run.data.metrics["judge/rating base"]
    assert found["ranking"][0]["first"] == run.data.metrics["judge/first goodgood_6"] > 0.5
    assert sum(each["places"][0] for each in found["ranking"]) == pytest.approx(1)
    assert run.data.tags["first"].startswith("goodgood@6 first in ") and "places in the resamples" in shown.out
    assert {"judge/rating_stderr base", "judge/position_stderr", "judge/control_injection"} <= set(run.data.metrics)
    assert run.data.params["judge.rubric"] == found["rubric"]["digest"]
    rows = table_of(store, run.info.run_id, "samples.json")
    assert len(rows) == 19 and rows[1]["places"] == "1/3" and rows[-1]["duplicate_of"]
    assert len(table_of(store, run.info.run_id, "verdicts.json")) == len(found["verdicts"])
    assert "rubric.yaml" in {file.path for file in store.client.list_artifacts(run.info.run_id)}
    traces = store.client.search_traces(locations=[run.info.experiment_id], run_id=run.info.run_id)
    assert len(traces) == len(found["verdicts"])

    asked = len(habits.requests)
    again = _judge(store, samples, *JUDGE, f"judge.base_url={url}", "judge.scores=true")
    assert again["ranking"] == found["ranking"] and again["spent"]["calls"] == 0
    assert len(habits.requests) == asked


def test_a_second_judge_and_a_persons_decisions_are_compared_with(
    samples: Path, store: Store, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
    said = {"good" * 8: "delete", None: "accept", "fair" * 8: "edit"}
    decisions = "".join(json.dumps({"id": each["id"], "decision": said[each["run"]]}) + "\n" for each in lines)
    (tmp_path / "d.jsonl").write_text(decisions, encoding="utf-8")
    more = [f"judge.decisions={tmp_path / 'd.jsonl'}", "judge.second_model=n", f"judge.second_base_url={url}"]
    found = _judge(store, samples, *JUDGE, f"judge.base_url={url}", *more, "judge.second_key_env=null")
    alpha, people = found["agreement"]
    assert alpha["value"] > 0.9 and not alpha["low"]
    assert people["value"] < 0.2 and people["low"]
    assert [each["person"]["value"] < 0.2 for each in found["panel"]] == [True, True]
    (run,) = store.client.search_runs([store.experiment_id("judging")], "tags.kind = 'judge'", max_results=1)
    assert run.data.metrics["judge/agreement_with_person"] == people["value"]
    shown = capsys.readouterr().out
    assert "low, so trust no order that rests on it" in shown and "(judged as the person decided: 0." in shown
    assert len(found["judges"]) == 2


def test_a_panel_is_shown_judge_by_judge_and_one_that_fails_costs_only_itself(
    samples: Path, store: Store, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of four judges one cannot be asked, and one likes what the others do not."""
    with judge_server(rules_judge(worth=lambda theme, text: -worth(theme, text))) as other:
        members = [f"{{model: n, base_url: '{url}'}}", f"{{model: reversed, base_url: '{other}'}}"]
        members += [f"{{model: n2, base_url: '{url}'}}", "{model: gone, base_url: 'http://127.0.0.1:9/v1'}"]
        words = [*JUDGE, f"judge.base_url={url}", f"judge.panel=[{', '.join(members)}]", "judge.retries=1"]
        found = _judge(store, samples, *words, "judge.controls=0", "judge.repeats=1")
    weights = {each["judge"].split()[0]: each["weight"] for each in found["panel"]}
    assert set(weights) == {"m", "n", "n2", "reversed"} and weights["reversed"] == 0
    assert found["ranking"][0]["adapter"] == "goodgood@6" and len(found["verdicts"]) == 4 * (6 + 1)
    assert [each["same"] for each in found["stability"]] == [1.0] * 4
    assert [each["who"] for each in found["left_out"] if each["family"]] == ["n"]
    shown = capsys.readouterr()
    assert "warning: left out of the panel: the judge gone at http://127.0.0.1:9/v1 cannot be asked" in shown.err
    assert f"warning: reversed at {other} orders the adapters unlike the others" in shown.out
    assert "the ranking without one" in shown.out and "all of n" in shown.out
    (run,) = store.client.search_runs([store.experiment_id("judging")], "tags.kind = 'judge'", max_results=1)
    assert sum(name.startswith("judge/weight ") for name in run.data.metrics) == 4


def test_a_judging_in_which_nothing_could_be_scored_has_failed_and_says_why(
    samples: Path, store: Store, url: str, habits: Habits, capsys: pytest.CaptureFixture[str]
) -> None:
    habits.always = "prose"
    with pytest.raises(
        HarnessError, match=r"nothing could be scored \(not one .*\): (\d+) of \1 questions are unscored;"
    ):
        _judge(store, samples, *JUDGE, f"judge.base_url={url}")
    found = json.loads(samples.with_name("ranking.json").read_text("utf-8"))
    assert found["ranking"] == [] and found["unscored"] == len(found["verdicts"]) > 6
    assert found["verdicts"][0]["reply"] == "I think that all of them are lovely."
    assert "no ranking" in capsys.readouterr().err
    (run,) = store.client.search_runs([store.experiment_id("judging")], "tags.kind = 'judge'", max_results=1)
    assert run.info.status == "FAILED"
    with pytest.raises(HarnessError, match=r"nothing could be scored \(the budget of judge.max_calls=1 is spent\)"):
        _judge(store, samples, *JUDGE, f"judge.base_url={url}", "judge.max_calls=1", "judge.temperature=0.5")


def test_how_replies_were_read_is_in_the_rubrics_record(
    samples: Path, store: Store, url: str, habits: Habits, capsys: pytest.CaptureFixture[str]
) -> None:
    habits.always = "chatty"
    found = _judge(store, samples, *JUDGE, f"judge.base_url={url}", "judge.controls=0")
    count = len(found["verdicts"])
    read = {"as asked": 0, "leniently": count, "past prose": count, "past thinking": count, "unscored": 0}
    assert found["rubric"]["replies"] == read and found["ranking"][0]["adapter"] == "goodgood@6"
    assert f"{count} replies were not the one object asked for, and were read past prose {count}" in (
        capsys.readouterr().out
    )


def test_a_local_judge_that_is_not_there_is_said_by_its_name(samples: Path, store: Store) -> None:
    with pytest.raises(
        HarnessError, match=r"judge.model=./none must be builtin:small, builtin:tiny, a folder or a hub name"
    ):
        _judge(store, samples, "judge=poetry", "judge.model=./none", "judge.serve=true")


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["judge=poetry"], "a judge needs judge.model"),
        (["judge.model=m"], "judge.model=m needs a rubric"),
        ([*JUDGE, "judge.serve=true", "judge.base_url=http://x"], "judge.serve=true starts a server of its own"),
        ([*JUDGE, "judge.base_url=x"], "judge.base_url must be a URL that begins with http"),
    ],
)
def test_what_a_judge_lacks_is_said_before_anything_is_read(overrides: list[str], complaint: str) -> None:
    from harness.config.checks import check_values

    with pytest.raises(HarnessError) as caught:
        check_values(compose_config(*overrides))
    assert complaint in str(caught.value)


def _train(store: Store, *overrides: str, hooks: RunHooks = RunHooks()) -> FinishedRun:  # noqa: B008
    words = [*QUICK, "name=judged", f"generate.prompts=[{','.join(THEMES)}]", f"tracking.uri={store.uri}"]
    words.append("judge.controls=0")
    return train_run(compose_config(*words, *overrides), Session(store, Display()), RunPlace(), hooks)


def test_a_run_is_measured_always_and_judged_when_asked(store: Store, url: str) -> None:
    plain = _train(store)
    assert {"text/length", "text/memorised_over_base", "text/memorised_over_held_out"} <= set(plain.totals)
    assert not any(name.startswith("judge/") for name in plain.totals)
    judged = _train(store, *JUDGE, f"judge.base_url={url}")
    assert 0 <= judged.totals["judge/win_rate"] <= 1 and judged.totals["judge/win_rate_stderr"] > 0
    assert judged.totals["judge/calls"] == 6  # a block on each theme; the judge was tried before the training
    run = get(store, judged.run_id)
    assert run.metrics["judge/win_rate"] == judged.totals["judge/win_rate"]
    assert len(table_of(store, judged.run_id, "verdicts.json")) == 6
    again = _train(store, *JUDGE, f"judge.base_url={url}")
    assert again.totals["judge/calls"] == 0
    assert again.totals["judge/win_rate"] == judged.totals["judge/win_rate"]


def test_controls_are_made_of_the_anchors_and_paid_for_by_the_first_run(store: Store, url: str) -> None:
    judge = [*JUDGE, f"judge.base_url={url}", "judge.controls=2", "generate.max_tokens=16"]
    first, second = _train(store, *judge), _train(store, *judge, "train.seed=5")
    assert first.totals["judge/calls"] - 6 >= 10  # a pair of twins and two in both orders, of each of two
    assert second.totals["judge/calls"] <= 6
    shares = {name: value for name, value in first.totals.items() if name.startswith("judge/control_")}
    assert "judge/control_injection" in shares and shares["judge/control_false_differences"] == 0
    assert shares == {name: second.totals[name] for name in shares}
    assert "control: identical" in {row["kind"] for row in table_of(store, first.run_id, "verdicts.json")}


def test_a_second_judges_disagreement_is_said_with_the_score(
    store: Store, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second likes what the first does not."""
    with judge_server(rules_judge(worth=lambda theme, text: -worth(theme, text))) as other:
        more = ["judge.second_model=n", f"judge.second_base_url={other}", "judge.second_key_env=null"]
        judged = _train(store, *JUDGE, f"judge.base_url={url}", *more)
    assert judged.totals["judge/agreement"] < 0.667
    assert "trust no order" in capsys.readouterr().err
    assert (get(store, judged.run_id).judged or "").endswith("(judges disagree)")
    print_sweep(judged.run_id, TrackingConfig(uri=store.uri))
    assert "(judges disagree)" in capsys.readouterr().out


def test_a_runs_score_is_the_mean_over_its_panel(store: Store, url: str) -> None:
    """Of two that like opposite things every text beats half of the anchors."""
    with judge_server(rules_judge(worth=lambda theme, text: -worth(theme, text), noise=0.0)) as other:
        panel = f"judge.panel=[{{model: n, base_url: '{other}'}}]"
        judged = _train(store, *JUDGE, f"judge.base_url={url}", panel)
    assert judged.totals["judge/win_rate"] == pytest.approx(0.5, abs=0.17) and judged.totals["judge/unscored"] == 0


def test_how_far_the_judge_agrees_with_the_person_stands_beside_a_runs_score(
    store: Store, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person likes whole poems and drops their shuffled words, and so does the judge: it need not be taught."""
    records = [
        {"id": f"{theme} {said}", "theme": theme, "text": text, "decision": said}
        for theme, poem in list(POEMS.items())[:10]
        for said, text in (("accept", poem), ("edit", damaged(poem, 0.3, seed=1)), ("delete", shuffled(poem, seed=1)))
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    judge = [*JUDGE, f"judge.base_url={url}", f"judge.decisions={tmp_path / 'd.jsonl'}"]
    judged = _train(store, *judge)
    assert judged.totals["judge/agreement_with_person"] > 0.8 and judged.totals["judge/taught"] == 0
    assert judged.totals["judge/calls"] == 6 + 2 * 5
    assert re.search(r"0\.\d\d ± 0\.\d\d \(as the person \d+%\)", get(store, judged.run_id).judged or "")
    said = capsys.readouterr().err
    assert "agreement with the person's decisions" in said and "not taught by the person's decisions" in said
    untaught = _train(store, *judge, "judge.teach=false", "train.seed=8")
    assert untaught.totals["judge/agreement_with_person"] > 0.8 and "judge/taught" not in untaught.totals


def test_a_run_that_could_not_be_judged_says_so_and_has_no_score(store: Store, url: str, habits: Habits) -> None:
    habits.always = "prose"
    silent = _train(store, *JUDGE, f"judge.base_url={url}")
    assert "judge/win_rate" not in silent.totals and silent.totals["judge/unscored"] == 6
    found = get(store, silent.run_id)
    assert found.status == "FINISHED" and "judge/win_rate" not in found.metrics
    assert found.tags[UNSCORED].startswith("6 of 6 texts")


def test_a_judge_that_dies_while_a_run_trains_leaves_it_unscored(store: Store, url: str, habits: Habits) -> None:
    def die() -> None:
        habits.always = "fail"

    words = [*JUDGE, f"judge.base_url={url}", "judge.retries=0", "train.seed=77"]
    run = _train(store, *words, hooks=at_update(1, die))
    found = get(store, run.run_id)
    assert found.status == "FINISHED" and found.judged == "unscored"
    rows = table_of(store, run.run_id, "verdicts.json")
    assert len(rows) == 6 and all("no reply: status 500" in row["unscored"] for row in rows)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["judge.base_url=http://127.0.0.1:9/v1", "judge.retries=0"], "the judge m at http://127.0.0.1:9/v1 cannot be"),
        (["judge.key_env=NO_SUCH_KEY"], "api.openai.com needs a key in the environment variable NO_SUCH_KEY"),
        (["judge.anchors=none.jsonl"], "judge.anchors=none.jsonl is not there"),
        (
            ["judge.serve=true", "judge.model=./none"],
            "judge.model=./none must be builtin:small, builtin:tiny, a folder",
        ),
    ],
)
def test_a_judge_that_cannot_judge_is_said_before_training(overrides: list[str], complaint: str, store: Store) -> None:
    with pytest.raises(HarnessError) as caught:
        _train(store, *JUDGE, *overrides, "name=not-ready")
    assert complaint in str(caught.value) and store.find_experiment("not-ready") is None, "no run has begun"


def test_anchors_on_other_themes_are_said_before_training(store: Store, samples: Path, url: str) -> None:
    more = [f"judge.base_url={url}", f"judge.anchors={samples}", "generate.prompts=[moon]"]
    with pytest.raises(HarnessError, match=r"has no text on any of generate.prompts"):
        _train(store, *JUDGE, *more)


def test_the_tuned_model_is_let_go_of_before_a_local_judge_begins(store: Store, base: Base, tmp_path: Path) -> None:
    """The judge's folder is removed while the run trains, so that the judge never begins."""
    judge = Path(shutil.copytree(base.folder, tmp_path / "judge"))
    config = compose_config(*QUICK, "name=judged", f"tracking.uri={store.uri}", *SERVED, f"judge.model={judge}")
    session = Session(store, Display())
    run = train_run(config, session, RunPlace(), at_update(1, lambda: shutil.rmtree(judge)))
    assert "judge.model" in get(store, run.run_id).tags[UNSCORED]
    assert "model" not in vars(session.base(config.model))


def test_frozen_anchors_may_come_from_a_file(samples: Path, store: Store, url: str, habits: Habits) -> None:
    judged = _train(store, *JUDGE, f"judge.base_url={url}", f"judge.anchors={samples}", "judge.anchors_per_theme=2")
    assert "judge/win_rate" in judged.totals
    prompt = next(each for each in habits.requests if "Rank the texts" in each["messages"][-1]["content"])
    assert prompt["messages"][-1]["content"].count("</text ") == 4  # the theme, the run's text, two anchors
    _judge(store, samples, *JUDGE, f"judge.base_url={url}")
    assert newest(store).run_id == judged.run_id  # not that of the judging


def _sweep(store: Store, *arguments: str, display: Display | None = None) -> SweepResult:
    def compose(overrides: Sequence[str]) -> Config:
        words = [*QUICK, f"generate.prompts=[{','.join(THEMES[:4])}]", f"tracking.uri={store.uri}", "sweep.workers=0"]
        words.append("judge.controls=0")
        return compose_config(*words, *overrides)

    words = prepare(["-m", *arguments], Config)[1:]
    return run_sweep(read_space({}, words), compose, display or Display(), Worker(command=["-m", *arguments]))


def test_a_sweep_is_steered_by_the_judge(store: Store, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*JUDGE, f"judge.base_url={url}", "name=judged_sweep", "sweep.metric=judge/win_rate"]
    swept = _sweep(store, *LEARNS_OR_NOT, *words)
    rates = {run.run_id: run.metrics["judge/win_rate"] for run in trials(store, get(store, swept.sweep_id))}
    assert {result.run_id: -(result.value or 0) for result in swept.results} == rates
    learned, idle = (rates[result.run_id or ""] for result in swept.results)
    assert learned > 0.9 and idle < 0.8, "one that learned nothing writes as the base does"
    parent = get(store, swept.sweep_id)
    assert parent.metrics["judge/win_rate"] == max(rates.values()) and "valid/best_loss" not in parent.metrics
    best = f"judge/win_rate {max(rates.values()):.4f}"
    assert f"best {best} by " in capsys.readouterr().err
    studies = open_studies(None, store.studies)
    written = page(store, studies, find_study(studies, swept.sweep_id))
    assert f"with {best} (run " in written and f"<td>{max(rates.values()):.4f}</td>" in written
    print_sweeps(store.uri, None)
    assert best in capsys.readouterr().out
    drawn = re.findall(r'"y":\[([-.\d]+),([-.\d]+)\]', written)
    assert drawn and all(float(value) >= 0 for pair in drawn for value in pair), "the plots too show its own values"


def test_wilcoxon_ends_a_trial_by_the_themes_that_it_loses(store: Store, url: str, tmp_path: Path) -> None:
    """The first trial learns to break lines, and writes better than a shuffled poem; the second learns nothing."""
    themes = [*THEMES, "风", "树", "月亮", "桥"]
    anchors = [_sample(None, theme, _two_lines(POEMS[theme], seed), seed) for theme in themes for seed in range(2)]
    write_in_order(tmp_path / "anchors.jsonl", anchors)
    words = [*JUDGE, f"judge.base_url={url}", "judge.concurrency=2", "name=wilcoxon", *LEARNS_OR_NOT]
    words += [f"judge.anchors={tmp_path / 'anchors.jsonl'}", "judge.anchors_per_theme=2"]
    words += ["sweep.metric=judge/win_rate", "sweep.pruner=wilcoxon", f"generate.prompts=[{','.join(themes)}]"]
    swept = _sweep(store, *words)
    assert [result.pruned for result in swept.results] == [False, True]
    ended = get(store, swept.results[1].run_id or "")
    assert ended.status == "PRUNED"
    assert len(table_of(store, ended.run_id, "verdicts.json")) < len(themes)


def _two_lines(poem: str, seed: int) -> str:
    """Worth more than noise, and less than lines of a few characters."""
    text = shuffled(poem * 2, seed)
    return f"{text[:8]}\n{text[8:]}"


def test_a_trial_that_breaks_what_is_required_has_failed(store: Store) -> None:
    swept = _sweep(store, "lora.rank=2,4", "name=required", "sweep.require=[text/length < 0]")
    assert all("breaks sweep.require=text/length < 0: text.length is" in (r.failure or "") for r in swept.results)
    fine = _sweep(store, "lora.rank=2,4", "name=required", "sweep.require=[text/loops <= 1]")
    assert all(result.failure is None for result in fine.results)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sweep.metric=judge/win_rate"], "sweep.metric=judge/win_rate needs a judge"),
        (["sweep.metric=text/own_words", "generate.prompts=[]"], "needs texts"),
        ([*JUDGE, "generate.temperature=0.5,0.9"], "generate.temperature must be the same for all trials"),
        (["sweep.require=[lora.rank < 3]"], "names nothing that a run measures"),
    ],
)
def test_what_a_search_lacks_is_said_before_it_begins(words: list[str], complaint: str, store: Store) -> None:
    with pytest.raises(HarnessError) as caught:
        _sweep(store, "lora.rank=2,4", "name=lacking", *words)
    assert complaint in str(caught.value)


def test_a_judged_sweep_against_stock_mlx_lm_server_ends_in_order(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny model's replies are gibberish: every text is unscored, and so is every trial."""
    swept = _sweep(store, "lora.rank=2,4", "name=served", "sweep.metric=judge/win_rate", *SERVED)
    assert len(swept.results) == 2
    assert all("it has no judge/win_rate: the judge left it unscored" in (r.failure or "") for r in swept.results)
    for run in trials(store, get(store, swept.sweep_id)):
        assert run.status == "FINISHED" and run.metrics["judge/unscored"] == 4 and UNSCORED in run.tags
        rows = table_of(store, run.run_id, "verdicts.json")
        assert len(rows) == 4 and all(row["unscored"] and row["ranking"] == "" for row in rows)
    assert "ignores the schema of replies" in capsys.readouterr().err
