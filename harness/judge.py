"""python -m harness.judge: texts measured, and the adapters that wrote them ranked by a judge."""

from pathlib import Path

from harness.config.schema import JudgeCommand
from harness.console.command import hydra_command
from harness.errors import HarnessError


def main() -> None:
    hydra_command(_judge, JudgeCommand, "judge")


def _judge(command: JudgeCommand) -> None:
    from harness.config.checks import check_judge

    check_judge(command.judge)
    out = None if command.out is None else Path(command.out).expanduser()
    if out is not None and (out.suffix != ".json" or not out.absolute().parent.is_dir()):
        raise HarnessError(f"out={out} must be a .json file in a folder that exists; choose another")

    from harness.console.progress import Display
    from harness.evaluation.samples import measure_and_judge

    measure_and_judge(command, out, Display())


if __name__ == "__main__":
    main()
