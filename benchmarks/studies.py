"""What the sweeper itself takes for a trial: python -m benchmarks.studies

1,000 trials of a trivial task with five reports each in one study, for each kind of storage: seconds a trial in the
first and in the last hundred. And what composing and checking 1,000 configurations takes before the first.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from harness.config.axes import Axis, Space
from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.read_axes import read_space
from harness.config.schema import Config, SweepConfig
from harness.console.progress import Display
from harness.sweeping.storage import Studies, open_studies
from harness.sweeping.study import Pace, open_study
from harness.sweeping.trial import Trial, TrialEnd

REPORTS = 5


@click.command()
@click.option("--trials", default=1000, show_default=True)
@click.option("--postgresql", help="Also this database: postgresql://…")
def main(trials: int, postgresql: str | None) -> None:
    """Print seconds a trial at the beginning and at the end of a study, by storage."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        kinds = {"a file": None, "SQLite": f"sqlite:///{folder / 'studies.db'}"}
        if postgresql is not None:
            kinds["PostgreSQL"] = postgresql
        print(f"{trials} trials with {REPORTS} reports each; seconds a trial: first hundred, last hundred, all")
        for kind, url in kinds.items():
            moments = _run(open_studies(url, folder), trials)
            first, last = (moments[100] - moments[0]) / 100, (moments[-1] - moments[-101]) / 100
            whole = (moments[-1] - moments[0]) / (len(moments) - 1)
            print(f"{kind:12} {first:8.4f} {last:8.4f} {whole:8.4f}")
    print(f"composing and checking {trials} configurations: {_compose(trials) / trials:.4f} s each")


def _run(studies: Studies, trials: int) -> list[float]:
    """The moments at which trials began."""
    axis = Axis("lora.rank", list(range(1, trials + 1)), list(map(str, range(1, trials + 1))))
    search = SweepConfig(**yaml.safe_load((CONF / "search" / "default.yaml").read_text("utf-8")))
    study = open_study(json.dumps(trials), studies, Space([axis], []), search, Pace(1, REPORTS))
    moments: list[float] = []

    def objective(trial: Trial) -> TrialEnd:
        moments.append(time.perf_counter())
        for step in range(1, REPORTS + 1):
            trial.report(step, 1.0 / step)
        return TrialEnd(float(trial.number))

    study.run(objective)
    return moments


def _compose(trials: int) -> float:
    from harness.multirun.trial_configs import TrialConfigs

    def composed(overrides: Sequence[str]) -> Config:
        found = compose("config", [*overrides])
        with open_dict(found):
            found.pop("hydra", None)
        return from_hydra(found, Config)

    started = time.perf_counter()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        TrialConfigs(read_space({}, [f"lora.rank=range(1,{trials + 1})"]), composed).check(Display())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
