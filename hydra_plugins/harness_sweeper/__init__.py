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

from harness.config.axes import read_space
from harness.config.load import from_hydra
from harness.config.overrides import as_typed, check_names
from harness.config.schema import Config
from harness.console.command import plainly
from harness.console.worker_environment import COMMAND
from harness.data.lines import check_first_lines
from harness.errors import HarnessError, reason
from harness.multirun.one_trial import OneTrial, one_trial
from harness.multirun.supervisor import supervise, worker_command
from harness.sweeping.siblings import Siblings
from harness.tracking import run_folder


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
            sys.exit(supervise(worker_command(sys.argv[1:]), 1 if only else workers, sys.argv[1:]))

        from harness.machine import blas

        blas.load()
        from harness.console.progress import Display
        from harness.multirun.context import Worker
        from harness.multirun.sweep import run_sweep
        from harness.multirun.table import print_sweep

        display, siblings = Display(), Siblings(os.environ)
        words = json.loads(os.environ[COMMAND]) if siblings.controller else sys.argv[1:]
        worker = Worker(siblings, [as_typed(word) for word in words], only=only)
        swept = run_sweep(space, self._compose, display, worker)
        if siblings.index:  # the first one says what came of it
            return
        failures = [result for result in swept.results if result.failure]
        config = self._compose(space.fixed)
        for result in failures:
            again = OneTrial(swept.sweep_id, result.trial.place)
            how = again.command(tracking_uri=config.tracking.uri, storage=config.sweep.storage)
            display.say(f"trial {result.trial.place} failed: {result.failure}; to try it again: {how}")
        try:
            print_sweep(swept.sweep_id, config.tracking)
        except HarnessError as error:  # the store went away: the trials are done all the same
            display.say(f"warning: the table of sweep {swept.sweep_id} cannot be shown: {error}")
        if config.sweep.report and swept.results:
            _report(swept.sweep_id, config, display)
        if failures and len(failures) == len(swept.results):
            sys.exit(1)

    def _compose(self, overrides: Sequence[str]) -> Config:
        composed = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        with open_dict(composed):
            del composed["hydra"]
        return from_hydra(composed, Config)


def _report(sweep_id: str, config: Config, display: Any) -> None:
    """What goes wrong here costs no trial, so it is only said."""
    from harness.multirun.report import write_report
    from harness.sweeping.listing import find_study
    from harness.sweeping.storage import open_studies
    from harness.tracking.store import open_store

    try:
        store = open_store(config.tracking)
        studies = open_studies(config.sweep.storage, store.studies)
        file = store.runs / sweep_id / run_folder.SWEEP_REPORT
        write_report(store, studies, find_study(studies, sweep_id), file)
        display.say(f"report: {file}")
    except Exception as error:
        display.say(
            f"warning: no report of sweep {sweep_id} ({reason(error)}); try python -m harness.report {sweep_id}"
        )
