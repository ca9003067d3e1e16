"""python -m harness.doctor: whether this machine is fit for a configuration, and what a run would take."""

from harness.config.schema import Config
from harness.console.command import hydra_command


def main() -> None:
    hydra_command(_check, Config, "doctor")


def _check(config: Config) -> None:
    from harness.run.doctor import check_up

    check_up(config)


if __name__ == "__main__":
    main()
