"""What `--help` of a Hydra command says: Hydra's own words for it, put together once.

Hydra's own page copies its whole store of configurations for each group of `conf/` and looks through them twice: half
of the time of a `--help`. Knows nothing of what the commands do, and of no option but `--help`.
"""

from collections.abc import Sequence
from pathlib import Path
from string import Template

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from harness.config.paths import CONF

_HELP = ("--help", "-h")


def asks_only_for_help(words: Sequence[str]) -> bool:
    """Whether `--help` stands among settings alone: what else Hydra has options for, it answers itself."""
    options = [word for word in words if word.startswith("-")]
    return bool(options) and all(option in _HELP for option in options)


def help_page(config_name: str, words: Sequence[str], conf: Path = CONF) -> str:
    """The page of `hydra.help` in `conf/<config_name>.yaml`, with the values that `words` set."""
    with initialize_config_dir(str(conf), version_base="1.3"):
        composed = compose(config_name, [word for word in words if word not in _HELP], return_hydra_config=True)
        template = Template(composed.hydra.help.template)
        with open_dict(composed):
            del composed["hydra"]
        return template.substitute(CONFIG=OmegaConf.to_yaml(composed), APP_CONFIG_GROUPS=_groups(conf))


def _groups(conf: Path) -> str:
    options = sorted((file.parent.relative_to(conf).as_posix(), file.stem) for file in _option_files(conf))
    named = {group: [option for each, option in options if each == group] for group, _ in options}
    return "".join(f"{group}: {', '.join(names)}\n" for group, names in named.items())


def _option_files(folder: Path) -> list[Path]:
    """Of every group below; `rglob` would not follow conf/sweep, which is a link."""
    groups = [group for group in folder.iterdir() if group.is_dir()]
    return [file for group in groups for file in (*group.glob("*.yaml"), *_option_files(group))]
