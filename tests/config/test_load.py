"""Values are typed and in range, and every complaint is one line with rule, value and name."""

import dataclasses
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from harness.config.later import NEUTRAL, completed
from harness.config.load import flat, from_hydra, from_values, key_names, with_scale_and_alpha
from harness.config.paths import CONF
from harness.config.schema import Config
from harness.errors import HarnessError, SettingError
from tests.conftest import compose_config


def test_the_shipped_configuration_is_valid() -> None:
    assert compose_config().name == "poems"


def test_flat_names_are_the_names_that_users_type() -> None:
    assert set(flat(compose_config())) == set(key_names(Config))
    assert "lora.rank" in key_names(Config)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lora.rank=0", "lora.rank must be at least 1, but got 0"),
        ("lora.rank=4.5", "lora.rank must be a whole number, but got 4.5"),
        ("lora.rank=many", "lora.rank must be a whole number, but got 'many'"),
        ("lora.dropout=1", "lora.dropout must be less than 1, but got 1"),
        ("lora.scale=-2", "lora.scale must be more than 0, but got -2"),
        ("lora.fine_tune_type=full", "lora.fine_tune_type must be lora or dora, but got 'full'"),
        ("lora.keys=q_proj", "lora.keys must be a list, such as [a,b], but got 'q_proj'"),
        ("train.keep=0", "train.keep must be all or at least 1, but got 0"),
        ("train.learning_rate=0", "train.learning_rate must be more than 0, but got 0"),
        ("train.mask_prompt=1", "train.mask_prompt must be true or false, but got 1"),
        ("train.resume=yes", "train.resume must be false or auto or a run's id of 32 hex digits, but got 'yes'"),
        ("judge.block=9", "judge.block must be at most 8, but got 9"),
        ("judge.base_url=me", "judge.base_url must be a URL that begins with http:// or https://, but got 'me'"),
        ("generate.top_p=0", "generate.top_p must be more than 0, but got 0"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(override: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        compose_config(override)
    assert str(caught.value) == message


def test_an_unknown_name_in_a_preset_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nlora:\n  rnk: 4\n", encoding="utf-8")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"])
    with pytest.raises(HarnessError, match="lora.rnk is not a setting; did you mean lora.rank?"):
        from_hydra(composed, Config)


def test_a_presets_name_is_the_runs(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\n", encoding="utf-8")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"])
    assert from_hydra(composed, Config).name == "mine"


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", ".", "a\\b", " ", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    values = dataclasses.asdict(compose_config()) | {"name": name}
    with pytest.raises(HarnessError, match="name must be a name without /"):
        from_values(values, Config)


def test_numbers_in_scientific_notation_are_numbers() -> None:
    assert compose_config("train.learning_rate=2e-6").train.learning_rate == 2e-6


def test_alpha_is_the_other_way_to_say_scale() -> None:
    lora = compose_config("lora.rank=16", "lora.alpha=32").lora
    assert (lora.scale, lora.alpha) == (2.0, 32.0)


def test_scale_gives_alpha_so_that_both_are_logged() -> None:
    lora = compose_config("lora.rank=8", "lora.scale=16").lora
    assert (lora.scale, lora.alpha) == (16.0, 128.0)


def test_without_either_the_scale_is_that_of_mlx_lm() -> None:
    assert compose_config().lora.scale == 20.0


def test_scale_and_alpha_that_disagree_are_refused() -> None:
    with pytest.raises(HarnessError, match=r"lora.alpha=32 at rank 16 means lora.scale=2, but lora.scale is 16"):
        compose_config("lora.rank=16", "lora.alpha=32", "lora.scale=16")


def test_rslora_divides_alpha_by_the_root_of_the_rank() -> None:
    lora = compose_config("lora.rank=16", "lora.alpha=32", "lora.rank_scaling=rslora").lora
    assert (lora.scale, lora.alpha) == (8.0, 32.0)
    assert with_scale_and_alpha(lora) == lora, "a run's own record says both"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs lora.alpha, which it divides by √rank, but it is not given; say lora.alpha=16 lora.scale=null"),
        (["lora.scale=2"], "it is not given, but lora.scale=2; say lora.alpha=16 lora.scale=null"),
        (
            ["lora.scale=2", "lora.alpha=32", "lora.rank=16"],
            "lora.alpha=32 at rank 16 with rslora means lora.scale=8, but lora.scale is 2; give one of them",
        ),
    ],
)
def test_rslora_without_its_alpha_or_with_another_scale_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(HarnessError) as caught:
        compose_config("lora.rank_scaling=rslora", *words)
    assert said in str(caught.value)


def test_what_an_earlier_version_wrote_is_completed_with_what_does_the_same() -> None:
    values = dataclasses.asdict(compose_config())
    for name in NEUTRAL.keys() & set(key_names(Config)):
        group, _, key = name.partition(".")
        assert values[group].pop(key) == NEUTRAL[name], "a default does as earlier runs did"
    with pytest.raises(SettingError):
        from_values(values, Config)
    assert from_values(completed(values, key_names(Config)), Config) == compose_config()


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        compose_config().lora.rank = 3


@pytest.mark.parametrize(("override", "name"), [("lora.rank=0", "lora.rank"), ("train.keep=few", "train.keep")])
def test_the_setting_that_breaks_a_rule_is_a_field_of_the_error(override: str, name: str) -> None:
    with pytest.raises(SettingError) as raised:
        compose_config(override)
    assert raised.value.name == name and str(raised.value).startswith(f"{name} must be ")
