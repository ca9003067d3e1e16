"""python -m harness.compare: adapters, or scales of one, side by side on the same prompts."""

from harness.config.schema import CompareCommand
from harness.console.command import hydra_command, out_file
from harness.errors import HarnessError


def main() -> None:
    hydra_command(_compare, CompareCommand, "compare")


def _compare(command: CompareCommand) -> None:
    out = out_file(command.out, ".html")

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
