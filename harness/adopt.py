"""python -m harness.adopt: a settings file of mlx_lm.lora becomes a preset here."""

from pathlib import Path
from typing import Any, cast

import click

from harness.console.command import plainly


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The preset's name.  [default: the file's name]")
def main(file: Path, name: str | None) -> None:
    """Write conf/experiment/NAME.yaml from FILE, a settings file (-c) of mlx_lm.lora.

    It trains as the file did there; what means something else here is said, a line each.
    """
    plainly(lambda: adopt(file, name or file.stem))


def adopt(file: Path, name: str) -> None:
    """Translate, check and write; nothing is written when the values cannot work.

    Raises:
        HarnessError: when the file cannot be read or translated, or the preset is there already.
    """
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

    check_name("--name", name)
    target = CONF / "experiment" / f"{name}.yaml"
    if target.exists():
        raise HarnessError(f"{target} is there already; choose another --name")
    if not file.exists():
        raise HarnessError(f"{file} is not there; give a settings file of mlx_lm.lora")
    values, notes = translate(read_mapping(file))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        defaults = cast(dict[str, Any], OmegaConf.to_object(compose("config")))
    merged = {key: value | values.get(key, {}) if isinstance(value, dict) else value for key, value in defaults.items()}
    check_values(from_values(merged, Config))
    text = yaml.safe_dump({"name": name, **values}, allow_unicode=True, sort_keys=False)
    write_text(target, f"# @package _global_\n# From {file.name}, a settings file of mlx_lm.lora.\n{text}")
    print(f"wrote {target}")
    for note in notes:
        print(f"- {note}")
    print(f"use it: python -m harness.train experiment={name}")


if __name__ == "__main__":
    main(prog_name="python -m harness.adopt")
