"""python -m harness.adopt: a settings file of mlx_lm.lora becomes a preset here."""

from pathlib import Path

import click

from harness.console.command import plainly


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The preset's name.  [default: the file's name]")
def main(file: Path, name: str | None) -> None:
    """Write conf/experiment/NAME.yaml from FILE, a settings file (-c) of mlx_lm.lora.

    It trains as the file did there; what means something else here is said, a line each.
    """
    plainly(lambda: _adopt(file, name or file.stem))


def _adopt(file: Path, name: str) -> None:
    from harness.config.adopt import adopt

    target, notes = adopt(file, name)
    print(f"wrote {target}")
    for note in notes:
        print(f"- {note}")
    print(f"use it: python -m harness.train experiment={name}")


if __name__ == "__main__":
    main(prog_name="python -m harness.adopt")
