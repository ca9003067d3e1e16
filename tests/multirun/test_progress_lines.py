"""What a sweep says before its first trial."""

import pytest

from harness.config.objective import TEST_LOSS, VALID_LOSS, WIN_RATE, Objective, objective
from harness.multirun.progress_lines import unlike_scores


@pytest.mark.parametrize("name", ["train.mask_prompt", "data.thinking", "model", "model.template_args.enable_thinking"])
@pytest.mark.parametrize("by", [VALID_LOSS, objective(TEST_LOSS)])
def test_losses_over_other_tokens_are_said_not_to_compare(name: str, by: Objective) -> None:
    [line] = unlike_scores(["lora.rank", name], by)
    assert line.startswith(f"trials that differ in {name} are scored on other tokens")


def test_what_the_same_tokens_score_is_compared_without_a_word() -> None:
    assert unlike_scores(["lora.rank", "train.seed", "model.revision"], VALID_LOSS) == []
    assert unlike_scores(["train.mask_prompt"], WIN_RATE) == []
