"""What the commands share: Hydra around a task, and failures as one line with an exit code.

Knows nothing of what the commands do. Nothing heavy is imported here: `--help` goes through it.
"""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from harness.config.load import from_hydra
from harness.config.overrides import prepare
from harness.config.paths import CONF
from harness.config.yaml_file import unreadable
from harness.errors import INTERRUPTED, HarnessError, reason
from harness.machine import blas

Command = TypeVar("Command")


def hydra_command(task: Callable[[Command], None], command: type[Command], config_name: str) -> None:
    """Compose `conf/<config_name>.yaml` with the command line, check it, and run `task` on the record."""
    _quiet_libraries()

    def composed(config: Any) -> None:
        blas.load()
        plainly(lambda: task(from_hydra(config, command)))

    def arguments() -> None:
        sys.argv[1:] = prepare(sys.argv[1:], command)

    plainly(arguments)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print its own errors, over many lines
    plainly(hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(composed))


def plainly(action: Callable[[], object]) -> None:
    """Run `action`; what goes wrong ends the process with one line, unless HARNESS_TRACEBACK=1 asks for all."""
    try:
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
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _quiet_libraries() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")
    warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType")  # mlflow, of its own types
