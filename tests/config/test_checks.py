"""Rules between values, refused before a model is loaded; poor choices are warned about."""

import dataclasses

import pytest

from harness.config.checks import check_data, check_model, check_values, matched_keys, total_updates, warmup_updates
from harness.errors import HarnessError
from tests.conftest import compose_config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.epochs=2"], "give train.iters or train.epochs, one of them"),
        (["train.iters=null"], "neither is given"),
        (["train.warmup=200"], "train.warmup must be shorter than the run of 200 updates, but got 200"),
        (["lora.num_layers=0"], "lora.num_layers must be at least 1, or -1 for all blocks, but got 0"),
        (["model.path=null"], "model.path must name a base model"),
        (["train.learning_rate_end=1"], "train.learning_rate_end must be at most"),
    ],
)
def test_values_that_cannot_work_together_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        check_values(compose_config(*overrides))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "warning"),
    [
        (["lora.scale=64"], "lora.scale=64 is high"),
        (["lora.rank=256"], "lora.rank=256 is high"),
        (["lora.dropout=0.5"], "lora.dropout=0.5 is high"),
        (["train.learning_rate=0.1"], "train.learning_rate=0.1 is high"),
        (["train.batch_size=1"], "one row an update is noisy"),
        (["generate.temperature=0"], "generate.top_p=0.95 has no effect"),
        (["train.warmup=100"], "over 30 %"),
    ],
)
def test_poor_choices_are_warned_about(overrides: list[str], warning: str) -> None:
    assert any(warning in line for line in check_values(compose_config(*overrides)))


def test_the_defaults_warn_of_nothing() -> None:
    assert check_values(compose_config()) == []


def test_a_batch_larger_than_the_split_is_refused() -> None:
    with pytest.raises(HarnessError, match="train.batch_size must be at most the 3 rows of the train split, but got 4"):
        check_data(compose_config(), train_rows=3, valid_rows=3)


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"valid.jsonl in .* has no row to learn from"):
        check_data(compose_config(), train_rows=30, valid_rows=0)


def test_an_empty_test_split_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"test.jsonl in .* has no row"):
        check_data(compose_config(), train_rows=30, valid_rows=10, test_rows=0)


def test_many_passes_over_few_rows_are_warned_about() -> None:
    assert "memorise" in check_data(compose_config("train.iters=1000"), train_rows=40, valid_rows=20)[0]


def test_more_layers_than_the_model_has_are_refused() -> None:
    with pytest.raises(
        HarnessError, match=r"lora.num_layers must be 1 to 28 for builtin:small, or -1 for all, but got 40"
    ):
        check_model(compose_config("lora.num_layers=40"), num_blocks=28)


def test_short_keys_mean_every_layer_of_that_name() -> None:
    names = ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"]
    assert matched_keys(["up_proj", "self_attn.q_proj"], names) == ["mlp.up_proj", "self_attn.q_proj"]


def test_a_key_that_matches_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(HarnessError, match="lora.keys=q_prj matches no layer of the base; it has q_proj, v_proj"):
        matched_keys(["q_prj"], ["self_attn.q_proj", "self_attn.v_proj"])


def test_epochs_count_the_updates_that_cover_every_row() -> None:
    train = dataclasses.replace(compose_config().train, iters=None, epochs=3, batch_size=4, grad_accumulation_steps=2)
    assert total_updates(train, 10) == 5  # 3 micro-batches an epoch, 9 in all, two an update


def test_warmup_below_one_is_a_share_of_the_run() -> None:
    train = compose_config("train.warmup=0.05").train
    assert warmup_updates(train, 800) == 40
