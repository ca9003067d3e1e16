"""What is said of a judge beside its ranking: one that reads is not doubted, one that does not is."""

from collections.abc import Iterator

import pytest

from harness.config.schema import JudgeCommand, JudgeConfig
from harness.console.progress import Display
from harness.evaluation.anchors import judge_against_anchors, run_score
from harness.evaluation.contest import judge_contest
from harness.evaluation.show import trust
from harness.judging.anchors import ANCHOR
from harness.judging.blocks import Candidate
from tests.conftest import compose_config
from tests.graded import POEMS, damaged
from tests.judge_server import Habits, judge_server
from tests.rules_judge import rules_judge

THEMES = list(POEMS)[:8]
READS, BY_PLACE = rules_judge(), Habits(noise=0.0, first_place=1.0, neither=False)


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[str, JudgeConfig]]:
    """One that reads, and one that goes by the place alone."""
    with judge_server(READS) as reads, judge_server(BY_PLACE) as by_place:
        yield {"reads": _judge(reads), "by place": _judge(by_place)}


def _judge(url: str) -> JudgeConfig:
    words = ["judge=poetry", "judge.model=m", f"judge.base_url={url}", "judge.key_env=null", "samples=s"]
    command: JudgeCommand = compose_config(*words, command=JudgeCommand, config_name="judge")
    return command.judge


def _written(adapter: str, share: float) -> list[Candidate]:
    """Poems of which this share is spoilt."""
    texts = {theme: damaged(POEMS[theme], share, seed=0) for theme in THEMES}
    return [Candidate(f"{adapter} {theme}", adapter, theme, "0", text, len(text)) for theme, text in texts.items()]


def _said_of_contest(judge: JudgeConfig) -> str:
    candidates = [*_written("good", 0.1), *_written("bad", 0.5)]
    return "\n".join(trust(judge_contest(judge, candidates, POEMS, Display())))


def _said_of_run(judge: JudgeConfig) -> str:
    anchors = {each.theme: [each] for each in _written(ANCHOR, 0.5)}
    return "\n".join(run_score(judge_against_anchors(judge, _written("good", 0.1), anchors, POEMS, Display())).lines)


def test_a_judge_that_reads_is_not_doubted(judges: dict[str, JudgeConfig]) -> None:
    said = _said_of_contest(judges["reads"])
    assert "text preferred to its own words shuffled: 100%" in said and "identical texts told apart: 0%" in said
    assert "warning" not in said
    assert _said_of_run(judges["reads"]).startswith("judge/win_rate 1.00")


def test_a_judge_that_goes_by_the_place_alone_is_doubted_in_a_ranking_and_in_a_run(
    judges: dict[str, JudgeConfig],
) -> None:
    for said in (_said_of_contest(judges["by place"]), _said_of_run(judges["by place"])):
        assert "warning: the judge prefers a text to its own words shuffled in only 50%" in said
        assert "warning: the judge calls the first of two better in 100%" in said
