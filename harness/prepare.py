"""python -m harness.prepare: raw material to the lines that training reads."""

from pathlib import Path

from harness.config.schema import PrepareCommand
from harness.console.command import hydra_command


def main() -> None:
    hydra_command(_prepare, PrepareCommand, "prepare")


def _prepare(command: PrepareCommand) -> None:
    from harness.console.progress import Display
    from harness.preparing.job import job_of
    from harness.preparing.pipeline import prepare_folder
    from harness.preparing.show import show_folder
    from harness.preparing.tracked import track

    display = Display()
    if "kind" not in command.source:
        show_folder(command, display, Path(command.data.path).expanduser())
        return
    prepared = prepare_folder(job_of(command, display))
    print("\n".join(prepared.summary))
    track(prepared, command)
    if command.show:
        show_folder(command, display, prepared.out)


if __name__ == "__main__":
    main()
