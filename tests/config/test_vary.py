"""A configuration that is varied from another is the one that Hydra would compose."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from harness.config.overrides import prepare
from harness.config.paths import CONF
from harness.config.schema import Config
from harness.config.vary import Varied


class Counted:
    """Hydra's compose, and how often it was asked."""

    def __init__(self, conf: Path = CONF) -> None:
        self.conf, self.asked = conf, list[list[str]]()

    def __call__(self, words: list[str]) -> DictConfig:
        self.asked.append(words)
        with initialize_config_dir(str(self.conf), version_base="1.3"):
            return compose("config", words)


@pytest.mark.parametrize(
    "words",
    [
        ["lora.rank=4", "train.learning_rate=1e-3", "lora.keys=[q_proj,k_proj]", "lora.rank=8"],
        ["model=tiny", "name=河 与 灯", "train.resume=null", "generate.prompts=[]", "data.labels={a: b}"],
        ["experiment=poetry-7b", "train.iters=5", "prompt=poems_spaced", "prompt.fields=null"],
        ["++train.optimizer_args.betas=[0.8,0.9]", "train.optimizer_args={eps: 1e-6}"],
        ["train.optimizer_args={eps: 1e-6}", "++train.optimizer_args.betas=[0.8,0.9]"],
        ["sweep=ranks", "sweep.trials=3", "~generate.prompts"],
        ["++lora.rank=3", "lora.rank=4"],
        ["lora.rank=4", "++lora.rank=3"],
    ],
)
def test_a_varied_configuration_is_the_one_that_hydra_composes(words: list[str]) -> None:
    words = prepare(words, Config)
    hydra = Counted()
    varied = Varied(hydra)
    for chosen in (words, words[:-1], words):
        assert OmegaConf.to_yaml(varied(chosen)) == OmegaConf.to_yaml(Counted()(chosen))
    assert OmegaConf.is_struct(varied(words))


def test_values_alone_are_composed_once_and_change_nothing_for_the_next() -> None:
    hydra = Counted()
    varied = Varied(hydra)
    varied(["lora.rank=4", "lora.keys=[a]"]).lora["keys"].append("b")
    assert varied([]).lora.rank != 4 and varied(["lora.keys=[a]"]).lora["keys"] == ["a"]
    assert hydra.asked == [[]]


@pytest.mark.parametrize("words", [["lora.rnk=4"], ["lora.rank.x=4"], ["model=tny"], ["a=b=c=[", "x"]])
def test_what_cannot_be_set_is_said_in_hydras_words(words: list[str]) -> None:
    with pytest.raises(HydraException) as hydras:
        Counted()(words)
    with pytest.raises(HydraException) as ours:
        Varied(Counted())(words)
    assert str(ours.value) == str(hydras.value)
