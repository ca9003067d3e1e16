"""The command line is checked and quoted before Hydra sees it."""

import itertools
from pathlib import Path

import pytest

from harness.config.overrides import as_typed, check_names, prepare
from harness.config.read_axes import read_space
from harness.config.schema import CompareCommand, Config, GenerateCommand, PrepareCommand
from harness.errors import HarnessError
from tests.conftest import compose_config


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("lora.rnk=4", "did you mean lora.rank?"),
        ("rank=4", "did you mean lora.rank?"),
        ("learning_rate=1", "did you mean train.learning_rate?"),
        ("scale=3", "did you mean lora.scale or generate.scale?"),
        ("modle=tiny", "did you mean model?"),
        ("model=tiy", "did you mean tiny?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(word: str, hint: str) -> None:
    with pytest.raises(HarnessError) as caught:
        prepare([word], Config)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *itertools.product([GenerateCommand, CompareCommand], ["data.path", "data.labels", "train.iters"]),
        (PrepareCommand, "train.iters"),
    ],
)
def test_what_would_have_no_effect_is_refused(command: type, name: str) -> None:
    with pytest.raises(HarnessError, match=f"{name} has no effect on this command"):
        prepare([f"{name}=x"], command)
    assert prepare(["data=plain", "data.system=x"], command)


@pytest.mark.parametrize("theme", ["河", "秋天 的 河", "it's", "a=b", "“引号”", "back\\slash", "a,b", "{x", "100%"])
def test_any_theme_arrives_as_it_was_typed(theme: str) -> None:
    command = compose_config(f"theme={theme}", command=GenerateCommand, config_name="generate")
    assert command.theme == theme


@pytest.mark.parametrize(
    "word", ["theme=河", "theme=a b", "theme=it's", "theme=a,b", "theme=back\\slash", "themes=w.txt"]
)
def test_a_quoted_word_can_be_shown_as_it_was_typed(word: str) -> None:
    (prepared,) = prepare([word], GenerateCommand)
    assert as_typed(prepared) == word


def test_a_list_of_quoted_words_can_be_shown_as_it_was_typed() -> None:
    (prepared,) = prepare(["generate.prompts=[河,秋 天]"], Config)
    assert as_typed(prepared) == "generate.prompts=[河,秋 天]"


def test_a_list_of_themes_arrives_as_a_list() -> None:
    assert compose_config("generate.prompts=[河, 秋 天]").generate.prompts == ["河", "秋 天"]


def test_references_with_colons_and_at_signs_arrive_as_typed() -> None:
    command = compose_config("adapters=models:/poems@champion", command=GenerateCommand, config_name="generate")
    assert command.adapters == "models:/poems@champion"


def test_swept_values_are_quoted_one_by_one() -> None:
    assert prepare(["-m", "name=河,山", "lora.rank=4,8"], Config) == ["-m", "name='河','山'", "lora.rank=4,8"]


def test_the_multirun_flag_may_stand_anywhere() -> None:
    assert prepare(["train.iters=5", "-m", "lora.rank=4,8"], Config)[0] == "-m"


def test_free_mappings_take_any_key() -> None:
    assert compose_config("+train.optimizer_args.weight_decay=0.1").train.optimizer_args == {"weight_decay": 0.1}


def test_a_setting_that_presets_need_not_hold_can_be_given_to_any() -> None:
    """data.thinking is in no preset that was written before it."""
    assert prepare(["data.thinking=mask"], Config) == ["++data.thinking=mask"]
    assert compose_config("data=plain", "data.path=x", "data.thinking=mask").data.thinking == "mask"
    assert compose_config("model.template_args={enable_thinking: false}").model.template_args == {
        "enable_thinking": False
    }
    assert compose_config("model.template_args.enable_thinking=false").model.template_args == {"enable_thinking": False}


def test_what_varies_is_named_as_users_type_it() -> None:
    """MLflow takes no + in a parameter's name."""
    words = ["-m", "train.optimizer_args.weight_decay=0.1,0.2", "data.thinking=learn,mask"]
    space = read_space({}, prepare(words, Config)[1:])
    assert [axis.name for axis in space.axes] == ["train.optimizer_args.weight_decay", "data.thinking"]


def test_names_in_a_sweep_file_are_checked_too() -> None:
    with pytest.raises(HarnessError, match=r"lora\.ranks is not a setting; did you mean lora\.rank\?"):
        check_names(["lora.ranks"], Config)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b'lora:\n  rank: !!python/object/apply:os.system ["echo run > ran"]\n',
            ":2 must be readable YAML, but could not",
        ),
        (b"lora: [1,\n", ":2 must be readable YAML, but expected the node content"),
        (b"name: \xff\n", ":1 must be UTF-8, but it is not; save the file as UTF-8"),
        (b"- a\n- b\n", " must hold a mapping, name: value, but it holds a list"),
    ],
    ids=["python-tag", "broken", "encoding", "list"],
)
def test_a_preset_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_bytes(content)
    with pytest.raises(HarnessError) as caught:
        prepare(["experiment=mine"], Config, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/experiment/mine.yaml{complaint}")
    assert not Path("ran").exists()
