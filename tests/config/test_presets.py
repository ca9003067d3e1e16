"""Each preset composes, and holds the reference values that it stands for."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from harness.config.axes import check_search, ends
from harness.config.checks import check_values
from harness.config.paths import CONF, ROOT
from harness.config.read_axes import read_space
from harness.config.schema import GenerateCommand
from tests.conftest import compose_config

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.mark.parametrize("preset", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_every_preset_composes_without_warnings(preset: str) -> None:
    config = compose_config(f"experiment={preset}", "data.path=my/data")
    assert check_values(config) == []
    assert config.model.path and "/" in config.model.path


@pytest.mark.parametrize("model", sorted(path.stem for path in (CONF / "model").glob("*.yaml")))
def test_every_model_group_composes(model: str) -> None:
    path = compose_config(f"model={model}").model.path
    assert path is None if model == "recorded" else path


@pytest.mark.parametrize(
    "option",
    [
        f"{group}={path.stem}"
        for group in ("data", "generate", "prompt")
        for path in sorted((CONF / group).glob("*.yaml"))
        if path.stem != "recorded"  # which training has no use for
    ],
)
def test_what_samples_are_written_with_composes_for_training_and_for_writing(option: str) -> None:
    trained = compose_config(option, *(["data.path=my/data"] if option == "data=plain" else []))
    usual = [] if option.startswith("data=") else ["data=poems"]
    usual += [] if option.startswith("prompt=") else ["prompt=chat"]
    written = compose_config(option, *usual, command=GenerateCommand, config_name="generate")
    assert (written.data.system, written.generate) == (trained.data.system, trained.generate)
    assert (written.prompt.templates, written.prompt.fields) == (trained.prompt.templates, trained.prompt.fields)
    assert not (written.prompt.recorded and written.data.recorded)


def test_english_poems_have_an_english_prompt_and_english_themes() -> None:
    config = compose_config("experiment=poetry-7b", "data=poems_en", "generate=poems_en")
    assert Path(config.data.path) == ROOT / "data" / "poems-en"
    assert config.data.system is not None and config.data.system.isascii()
    assert all(theme.isascii() for theme in config.generate.prompts)
    other = compose_config("experiment=poetry-7b")
    assert (config.lora, config.train, config.prompt) == (other.lora, other.train, other.prompt)


def test_poetry_7b_is_p3() -> None:
    config = compose_config("experiment=poetry-7b")
    assert config.model.path == "mlx-community/Qwen2.5-7B-Instruct-4bit"
    assert (config.lora.rank, config.lora.scale, config.lora.dropout, config.lora.num_layers) == (8, 16.0, 0.1, 16)
    assert config.lora.keys == ["q_proj", "v_proj", "down_proj", "gate_proj", "up_proj"]
    assert (config.train.iters, config.train.max_seq_length, config.train.warmup) == (800, 256, 0.05)
    assert (config.train.learning_rate, config.train.lr_schedule) == (1e-5, "cosine")


def test_poetry_32b_is_p3() -> None:
    config = compose_config("experiment=poetry-32b")
    assert config.model.path == "mlx-community/Qwen2.5-32B-Instruct-4bit"
    assert (config.lora.rank, config.lora.scale, config.train.iters, config.train.batch_size) == (4, 8.0, 1600, 2)


def test_persona_14b_is_s3() -> None:
    config = compose_config("experiment=persona-14b", "data.path=x")
    assert "14B" in str(config.model.path) and "Instruct" not in str(config.model.path)
    assert (config.lora.rank, config.lora.scale, config.lora.dropout) == (64, 2.0, 0.1)
    assert config.lora.keys == SEVEN
    train = config.train
    assert (train.batch_size, train.grad_accumulation_steps, train.grad_checkpoint) == (1, 4, True)
    assert (train.iters, train.save_every, train.seed) == (2100, 200, 42)


def test_conversation_7b_is_m3() -> None:
    config = compose_config("experiment=conversation-7b", "data.path=x")
    assert (config.lora.rank, config.lora.alpha, config.lora.scale, config.lora.dropout) == (16, 32.0, 2.0, 0.05)
    train = config.train
    assert (train.learning_rate, train.warmup, train.batch_size) == (1e-4, 100, 2)
    assert (train.grad_accumulation_steps, train.max_grad_norm, train.keep) == (4, 1.0, 3)
    assert (train.save_every, train.steps_per_eval) == (100, 50)


def test_mlx_example_is_d2() -> None:
    config = compose_config("experiment=mlx-example", "data.path=x")
    train = config.train
    assert (config.lora.num_layers, train.batch_size, train.steps_per_report) == (16, 4, 10)
    assert (train.steps_per_eval, train.save_every, train.mask_prompt) == (200, 100, False)


SEARCHES = {
    "ranks": [],
    "smoke": [],
    "poetry": ["poetry-7b"],
    "judged": ["poetry-7b"],
    "persona": ["persona-14b"],
    "conversation": ["conversation-7b"],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "sweeps").glob("*.yaml")))
def test_every_search_composes_at_its_ends_with_the_preset_it_is_for(name: str) -> None:
    chosen = [f"sweep={name}", "data.path=my/data", *(f"experiment={preset}" for preset in SEARCHES[name])]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        params = compose("config", chosen, return_hydra_config=True).hydra.sweeper.params
    space = read_space(params, [])
    check_search(space, compose_config(*chosen).sweep)
    for end in (0, -1):
        words = [f"{axis.name}={axis.word(ends(axis)[end])}" for axis in space.axes]
        assert check_values(compose_config(*chosen, *words)) == []


def test_the_sweeps_folder_is_a_config_group() -> None:
    assert (CONF / "sweep").resolve() == ROOT / "sweeps"
