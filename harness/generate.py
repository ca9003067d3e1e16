"""python -m harness.generate: texts from adapters, in the terminal or as JSON lines."""

from harness.config.schema import GenerateCommand
from harness.console.command import hydra_command, out_file


def main() -> None:
    hydra_command(_generate, GenerateCommand, "generate")


def _generate(command: GenerateCommand) -> None:
    out = out_file(command.out)

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
