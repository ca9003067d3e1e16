"""What the commands share: Hydra around a task, and failures as one line with an exit code.

Knows nothing of what the commands do. Nothing heavy is imported here: `--help` goes through it.
"""

import atexit
import gc
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from harness.config.load import from_hydra
from harness.config.overrides import prepare
from harness.config.paths import CONF
from harness.config.yaml_file import unreadable
from harness.console.help_page import asks_only_for_help, help_page
from harness.console.interrupt import requests_heeded, told
from harness.console.terminal import outlive_terminal
from harness.errors import HarnessError, SettingError, reason
from harness.machine import blas
from harness.machine.launched import is_one_of_several, own_number

Command = TypeVar("Command")


def hydra_command(
    task: Callable[[Command], None], command: type[Command], config_name: str, *, several: bool = False
) -> None:
    """Compose `conf/<config_name>.yaml` with the command line, check it, and run `task` on the record.

    `several`: also in each of the processes that mlx.launch starts.
    """
    _light_libraries()
    _quiet_libraries()

    def composed(config: Any) -> None:
        blas.load()
        plainly(lambda: task(from_hydra(config, command)), several=several)

    def arguments() -> None:
        sys.argv[1:] = prepare(sys.argv[1:], command)

    plainly(arguments, several=several)
    if asks_only_for_help(sys.argv[1:]):
        plainly(lambda: print(help_page(config_name, sys.argv[1:])), several=several)
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print its own errors, over many lines
    plainly(hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(composed), several=several)


def prepare_for_models() -> None:
    """What a command that Hydra does not run does before it works with a model."""
    _light_libraries()
    _quiet_libraries()
    blas.load()


def out_file(out: str | None, suffix: str = "") -> Path | None:
    """Where a command is asked to write, checked before it works for it.

    Raises:
        SettingError: for another kind of file, or a folder that is not there.
    """
    if out is None:
        return None
    file = Path(out).expanduser()
    if not file.name.endswith(suffix):
        raise SettingError("out", f"out={out} must end in {suffix}, but it does not; choose another name")
    if not file.absolute().parent.is_dir():
        raise SettingError(
            "out", f"out={out} must be in a folder that exists, but {file.parent} does not; make it first"
        )
    return file


def plainly(action: Callable[[], object], *, several: bool = False) -> None:
    """Run `action`; what goes wrong ends the process with one line, unless HARNESS_TRACEBACK=1 asks for all.

    Of several processes that mlx.launch started, the first alone says that they are too many, unless `several` may be.
    A signal that asks it to end (see interrupt.py) ends it with 128 and the signal's number.
    """
    outlive_terminal()
    _end_without_collecting()
    try:
        with requests_heeded():
            if not several and is_one_of_several():
                _refuse_several()
            action()
    except Exception as error:
        if os.environ.get("HARNESS_TRACEBACK") == "1":
            raise
        if isinstance(error, MarkedYAMLError):
            error = HarnessError(unreadable(error))
        elif isinstance(error, (HydraException, OmegaConfBaseException)):  # written for users
            error = HarnessError(str(error))
        hint = "" if isinstance(error, HarnessError) else "; HARNESS_TRACEBACK=1 shows where it comes from"
        print(f"error: {reason(error)}{hint}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as error:
        print(told(error).why, file=sys.stderr)
        sys.exit(told(error).exit_code)


def _refuse_several() -> None:
    if own_number():
        sys.exit(0)
    raise HarnessError(
        "under mlx.launch all processes must train one run (python -m harness.train, without -m for a sweep), but this "
        "command works in one process: start it without mlx.launch; sweep.workers=2 trains two trials at a time"
    )


def _end_without_collecting() -> None:
    """Python looks for garbage among all that there is when it ends: a second, for what the system takes anyway."""
    atexit.unregister(gc.freeze)  # once
    atexit.register(gc.freeze)


def _light_libraries() -> None:
    """Libraries that come with what no command needs of them, or look for garbage while they are imported."""
    # MLflow imports pandas wherever it is: 51 MB and a few hundred modules. Without it, the same ones are loaded as
    # with mlflow-skinny, which has no page (harness.ui) and no store of its own (SQLAlchemy, Alembic)
    sys.modules.setdefault("pandas", cast(Any, None))
    gc.set_threshold(100_000, 20, 100)  # importing makes a million objects, and none of them garbage


def _quiet_libraries() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")
    warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType")  # mlflow, of its own types
