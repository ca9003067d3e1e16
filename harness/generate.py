"""python -m harness.generate: texts from adapters, in the terminal or as JSON lines."""

from pathlib import Path

from harness.config.schema import GenerateCommand
from harness.console.command import hydra_command
from harness.errors import HarnessError


def main() -> None:
    hydra_command(_generate, GenerateCommand, "generate")


def _generate(command: GenerateCommand) -> None:
    out = None if command.out is None else Path(command.out).expanduser()
    if out is not None and not out.absolute().parent.is_dir():
        raise HarnessError(f"out={out} must be in a folder that exists, but {out.parent} does not; make it first")

    from harness.console.progress import Display
    from harness.writing.grid import lay_out, write_all, write_into

    display = Display()
    grid = lay_out(command, [command.generate.scale])
    if out is not None:
        write_into(out, grid, command, display)
        return
    several = len(grid.parts) > 1 or len({planned.variant for planned in grid.planned}) > 1
    for sample in write_all(grid, command, display):
        of = f"  ({sample.origin.name}, {sample.variant})" if several else ""
        print(f"── {sample.theme}{of}\n{sample.text}\n", flush=True)


if __name__ == "__main__":
    main()
