"""A settings file of mlx_lm.lora becomes a preset among those in conf/experiment/."""

from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from harness.config.checks import check_values
from harness.config.load import check_name, from_values
from harness.config.mlx_lm_yaml import translate
from harness.config.paths import CONF
from harness.config.schema import Config
from harness.config.yaml_file import read_mapping
from harness.errors import HarnessError
from harness.files import write_text


def adopt(file: Path, name: str, presets: Path = CONF / "experiment") -> tuple[Path, list[str]]:
    """Translate, check and write; nothing is written when the values cannot work.

    Returns the preset's file, and a line for each setting that means something else here.

    Raises:
        HarnessError: when the file cannot be read or translated, or the preset is there already.
    """
    check_name("--name", name)
    target = presets / f"{name}.yaml"
    if target.exists():
        raise HarnessError(f"{target} is there already; choose another --name")
    if not file.exists():
        raise HarnessError(f"{file} is not there; give a settings file of mlx_lm.lora")
    values, notes = translate(read_mapping(file), file)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        defaults = cast(dict[str, Any], OmegaConf.to_object(compose("config")))
    merged = {key: value | values.get(key, {}) if isinstance(value, dict) else value for key, value in defaults.items()}
    check_values(from_values(merged, Config))
    text = yaml.safe_dump({"name": name, **values}, allow_unicode=True, sort_keys=False)
    write_text(target, f"# @package _global_\n# From {file.name}, a settings file of mlx_lm.lora.\n{text}")
    return target, notes
