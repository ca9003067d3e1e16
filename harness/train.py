"""python -m harness.train: one run, or with -m one for each combination of the swept values."""

from pathlib import Path

from harness.config.schema import Config
from harness.console.command import hydra_command
from harness.data.lines import check_first_lines


def main() -> None:
    hydra_command(_train, Config, "config")


def _train(config: Config) -> None:
    check_first_lines(Path(config.data.path).expanduser())  # before the libraries are loaded

    from hydra.core.hydra_config import HydraConfig

    from harness.console.progress import Display
    from harness.run.session import open_session

    overrides = list(HydraConfig.get().overrides.task)
    display = Display()
    session = open_session(config.tracking, display)
    session.prepare(config)  # while MLflow is imported

    from harness.machine.device import freeze_libraries
    from harness.multirun.table import ui_command
    from harness.run.context import RunPlace
    from harness.run.pipeline import train_run
    from harness.tracking.views import save_view

    freeze_libraries()
    varied = ["lora.rank", "lora.scale", "lora.num_layers", "train.learning_rate", "train.updates"]
    save_view(session.store, session.store.experiment_id(config.name), None, varied)
    finished = train_run(config, session, RunPlace(overrides=overrides))
    print(finished.run_id)
    display.say(f"Open it in MLflow: {ui_command(session.store)}")


if __name__ == "__main__":
    main()
