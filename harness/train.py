"""python -m harness.train: one run, or with -m one for each combination of the swept values.

Under mlx.launch, one run of all its processes.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.schema import Config
from harness.console.command import hydra_command
from harness.data.lines import check_first_lines
from harness.machine.launched import is_one_of_several

if TYPE_CHECKING:
    from harness.run.followers import Followers


def main() -> None:
    hydra_command(_train, Config, "config", several=True)


def _train(config: Config) -> None:
    if is_one_of_several():
        from harness.run.follow import take_part

        take_part(config, lambda followers: _lead(config, followers))
    else:
        _lead(config)


def _lead(config: Config, followers: "Followers | None" = None) -> None:
    check_first_lines(Path(config.data.path).expanduser())  # before the libraries are loaded

    from hydra.core.hydra_config import HydraConfig

    from harness.console.progress import Display
    from harness.run.session import open_session

    overrides = list(HydraConfig.get().overrides.task)
    display = Display()
    session = open_session(config.tracking, display, followers)
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
