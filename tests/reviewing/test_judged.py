"""A ranking as harness.judge writes it is read: better texts are worth more, and the newest file of them is found."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.evaluation.contest import Judgement, candidates_of
from harness.evaluation.leaderboard import to_json
from harness.evaluation.measures import adapter_names
from harness.judging.contest import hold
from harness.reviewing.judged import UNJUDGED, find_judged, read_judged
from harness.reviewing.measures import measures
from harness.reviewing.standing import Event, Person, Said, Shown
from harness.sampling.samples import Sample
from tests.judge_server import Habits
from tests.judging.served import RUBRIC, work
from tests.reviewing.written import sample


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Two adapters on each of ten themes, the second the better one."""
    return [
        sample(number, theme=f"t{number // 2}", text=f"text {number} worth {2 * (number % 2)}.0 of it")
        for number in range(20)
    ]


@pytest.fixture(scope="module")
def ranking(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranking")
    names = adapter_names(samples)
    entries = candidates_of(samples, names)
    contest, spending = work(Habits(noise=0.05), folder, lambda judges: hold(judges, entries, block=2, seed=1))
    verdicts: list[Any] = contest.verdicts
    nothing: dict[str, Any] = {"controls": None, "agreements": [], "marks": {}}
    judgement = Judgement(contest=contest, verdicts=verdicts, spending=spending, rubric=RUBRIC, **nothing)
    (folder / "ranking.json").write_text(json.dumps(to_json(judgement, samples, names)), "utf-8")
    return folder / "ranking.json"


def test_better_texts_are_worth_more_on_their_theme(ranking: Path, samples: list[Sample]) -> None:
    judged = read_judged(ranking)
    worse, better = ([judged.worth[each.id] for each in samples[start::2]] for start in (0, 1))
    assert all(one < other for one, other in zip(worse, better, strict=True))
    assert judged.rubric == RUBRIC.digest and judged.judges == ("judge 0",)
    assert judged.places[samples[1].id] == ["1/2"]


def test_agreement_with_the_judge_counts_pairs_that_were_decided_differently(
    ranking: Path, samples: list[Sample]
) -> None:
    judged, person = read_judged(ranking), Person()
    for number, each in enumerate(samples):
        said = Said(decision="accept" if number % 2 or number > 15 else "delete")
        shown = Shown(texts=(each.id,))
        person.take(
            Event(number=number, at=0, reviewer="a", item=each.id, revision=1, request="", shown=shown, said=said)
        )
    shares = {
        share.what: share for share in measures(person, {"a": person}, judged.orders, {s.id: s.id for s in samples})
    }
    found = shares["pairs in which the judge preferred what you did"]
    assert (found.hits, found.of) == (8, 8)


def test_the_newest_ranking_of_these_samples_is_found(ranking: Path, samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[1]", "utf-8")
    (tmp_path / "old.json").write_bytes(ranking.read_bytes())
    os.utime(tmp_path / "old.json", (1, 1))
    files = [tmp_path / "gone.json", tmp_path / "other.json", tmp_path / "old.json", ranking]
    ids = {each.id for each in samples}
    assert find_judged(files, ids).file == ranking
    assert find_judged(files[:3], ids).file == tmp_path / "old.json"
    assert find_judged(files, {"another"}) is UNJUDGED


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"ranking": [], "verdicts": [{}]}'])
def test_what_is_no_ranking_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(content, "utf-8")
    with pytest.raises(HarnessError, match=r"r.json is no ranking .*give the out= of harness.judge"):
        read_judged(tmp_path / "r.json")
