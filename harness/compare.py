"""python -m harness.compare: adapters, or scales of one, side by side on the same prompts."""

from pathlib import Path

from harness.config.schema import CompareCommand
from harness.console.command import hydra_command
from harness.errors import HarnessError


def main() -> None:
    hydra_command(_compare, CompareCommand, "compare")


def _compare(command: CompareCommand) -> None:
    out = None if command.out is None else Path(command.out).expanduser()
    if out is not None and (out.suffix != ".html" or not out.absolute().parent.is_dir()):
        raise HarnessError(f"out={out} must be an .html file in a folder that exists; choose another")

    from harness.console.progress import Display
    from harness.files import write_text
    from harness.writing.comparison import as_page, in_terminal
    from harness.writing.grid import lay_out, write_all

    display = Display()
    grid = lay_out(command, command.scales or [command.generate.scale])
    if len(grid.parts) < 2:
        raise HarnessError("compare needs two adapters or scales; give adapters=[a,b], [none,a], or scales=[0.5,1]")
    samples = list(write_all(grid, command, display))
    in_terminal(grid.planned, samples)
    if out is not None:
        write_text(out, as_page(grid.planned, samples))
        display.say(f"the same as a page: {out}")


if __name__ == "__main__":
    main()
