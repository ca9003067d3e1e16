"""Who sits on a panel: what a member leaves out is judge's, and who cannot sit is said."""

import pytest

from harness.config.checks import check_judge
from harness.config.panel import seats_of
from harness.config.schema import JudgeCommand, JudgeConfig
from harness.errors import HarnessError
from tests.conftest import compose_config


def _judge(*words: str) -> JudgeConfig:
    command: JudgeCommand = compose_config(
        "judge=poetry", "samples=s", *words, command=JudgeCommand, config_name="judge"
    )
    return command.judge


def test_what_a_member_leaves_out_is_the_judges_own() -> None:
    members = "{model: org/Qwen3-8B, base_url: 'http://b/v1', key_env: null}, {base_url: 'http://c'}"
    panel = f"judge.panel=[{members}, {{model: z1, family: own}}]"
    found = seats_of(_judge("judge.model=gpt-5-mini", "judge.base_url=http://a/v1", "judge.key_env=KEY", panel))
    assert [(each.model, each.base_url, each.key_env, each.family) for each in found] == [
        ("gpt-5-mini", "http://a/v1", "KEY", "gpt"),
        ("org/Qwen3-8B", "http://b/v1", None, "qwen"),
        ("gpt-5-mini", "http://c", "KEY", "gpt"),
        ("z1", "http://a/v1", "KEY", "own"),
    ]


def test_a_panel_needs_no_other_judge_and_a_second_judge_is_a_panel_of_two() -> None:
    alone = _judge("judge.panel=[{model: a}, {model: b}]")
    check_judge(alone)
    assert [each.model for each in seats_of(alone)] == ["a", "b"]
    two = seats_of(_judge("judge.model=a", "judge.second_model=b", "judge.second_base_url=http://b"))
    assert [(each.model, each.base_url) for each in two] == [("a", None), ("b", "http://b")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["judge.panel=[{family: a}]"], r"judge.panel\[0\] must have a model, or judge.model"),
        (["judge.panel=[{model: a, base_url: b}]"], r"judge.panel\[0\].base_url must be a URL .* but got b"),
        (["judge.model=a", "judge.panel=[{model: a}]"], "each judge must be another, but a stands twice"),
        (
            ["judge.model=a", "judge.second_model=b", "judge.panel=[{model: c}]"],
            "judge.second_model=b does not go with",
        ),
        (["judge.second_model=b"], "a judge needs judge.model"),
        (["judge.serve=true", "judge.panel=[{model: c}]"], "judge.serve=true needs judge.model"),
        (["judge.panel=[{model: a, url: b}]"], "judge.panel"),
    ],
)
def test_who_cannot_sit_on_a_panel_is_said(words: list[str], complaint: str) -> None:
    with pytest.raises(HarnessError, match=complaint):
        check_judge(_judge(*words))


def test_a_panel_without_a_rubric_is_said() -> None:
    command: JudgeCommand = compose_config(
        "samples=s", "judge.panel=[{model: a}]", command=JudgeCommand, config_name="judge"
    )
    with pytest.raises(HarnessError, match="judge.panel needs a rubric"):
        check_judge(command.judge)
