"""Small studies in a folder, for tests and the processes that they start: nothing heavy is imported here."""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from harness.config.axes import Axis, Range, Space
from harness.config.paths import CONF
from harness.config.schema import SweepConfig
from harness.sweeping.siblings import Siblings
from harness.sweeping.storage import open_studies
from harness.sweeping.study import Pace, Study, open_study

RANK = Axis("lora.rank", [4, 8], ["4", "8"])
SCALE = Axis("lora.scale", [1.0, 2.0, 3.0], ["1.0", "2.0", "3.0"])
RATE = Range("train.learning_rate", 1e-5, 1e-3, log=True, whole=False)
LAYERS = Range("lora.num_layers", 2, 4, log=False, whole=True)
PACE = Pace(1, 3)


def make_search(**values: Any) -> SweepConfig:
    usual = SweepConfig(**yaml.safe_load((CONF / "search" / "default.yaml").read_text("utf-8")))
    return dataclasses.replace(usual, **values)


def make_study(folder: Path, *axes: Axis | Range, siblings: Siblings | None = None, **search: Any) -> Study:
    space = Space(list(axes), [])
    return open_study("s", open_studies(None, folder), space, make_search(**search), PACE, siblings=siblings)
