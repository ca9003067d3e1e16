"""Hydra's -m, handed to harness.multirun.sweep. Hydra imports this at every start: nothing heavy at the top."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from harness.config.load import from_hydra
from harness.config.overrides import as_typed, check_names, prepare
from harness.config.read_axes import read_space
from harness.config.schema import Config
from harness.config.vary import Varied
from harness.console.command import plainly
from harness.console.worker_environment import COMMAND
from harness.data.lines import check_first_lines
from harness.errors import HarnessError
from harness.multirun.one_trial import one_trial
from harness.sweeping.siblings import Siblings


@dataclass
class HarnessSweeperConf:
    """`params`: swept names and their values in Hydra's syntax, as a file in sweeps/ gives them."""

    _target_: str = "hydra_plugins.harness_sweeper.HarnessSweeper"
    params: dict[str, str] = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="harness", node=HarnessSweeperConf, provider="harness")


class HarnessSweeper(Sweeper):
    def __init__(self, params: dict[str, str]) -> None:
        self._params = dict(params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._config = hydra_context, config
        self._varied = Varied(self._composed)

    def sweep(self, arguments: list[str]) -> Any:
        plainly(lambda: self._sweep(arguments))

    def _sweep(self, arguments: list[str]) -> None:
        check_names(list(self._params), Config)
        space = read_space(self._params, arguments, self._context.config_loader)
        if not space.axes:
            raise HarnessError("-m needs something to vary, such as lora.rank=4,8,16 or sweep=<a file in sweeps/>")

        fixed = self._compose(space.fixed)
        check_first_lines(Path(fixed.data.path).expanduser())  # before the libraries are loaded
        workers, only = fixed.sweep.workers, one_trial(os.environ)
        if workers:
            from harness.multirun.supervisor import supervise, worker_command

            sys.exit(supervise(worker_command(sys.argv[1:]), 1 if only else workers, sys.argv[1:]))

        from harness.machine import blas

        blas.load()
        from harness.console.progress import Display
        from harness.multirun.conclusion import conclude
        from harness.multirun.context import Worker
        from harness.multirun.sweep import run_sweep

        display, siblings = Display(), Siblings(os.environ)
        words = json.loads(os.environ[COMMAND]) if siblings.controller else sys.argv[1:]
        worker = Worker(siblings, [as_typed(word) for word in words], only=only)
        swept = run_sweep(space, self._compose, display, worker)
        if worker.is_first:  # it says what came of it
            sys.exit(conclude(swept, self._compose(space.fixed), display))

    def _compose(self, overrides: Sequence[str]) -> Config:
        return from_hydra(self._varied(prepare(overrides, Config)), Config)

    def _composed(self, words: list[str]) -> DictConfig:
        composed = self._context.config_loader.load_sweep_config(self._config, words)
        with open_dict(composed):
            del composed["hydra"]
        return composed
