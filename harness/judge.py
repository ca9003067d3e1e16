"""python -m harness.judge: texts measured, and the adapters that wrote them ranked by a judge."""

from harness.config.schema import JudgeCommand
from harness.console.command import hydra_command, out_file


def main() -> None:
    hydra_command(_judge, JudgeCommand, "judge")


def _judge(command: JudgeCommand) -> None:
    from harness.config.checks import check_judge

    check_judge(command.judge)
    out = out_file(command.out, ".json")

    from harness.console.progress import Display
    from harness.evaluation.samples import measure_and_judge

    measure_and_judge(command, out, Display())


if __name__ == "__main__":
    main()
