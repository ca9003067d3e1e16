"""The configuration that a run left behind: in its folder, and beside each checkpoint that the store keeps."""

from pathlib import Path

import yaml

from harness.config.later import completed
from harness.config.load import from_values, key_names
from harness.config.schema import Config
from harness.errors import HarnessError
from harness.tracking import run_folder


def config_of(folder: Path) -> Config | None:
    """A run's own; of settings that came after it, what does as it did. None where there is none that can be read."""
    try:
        values = yaml.safe_load((folder / run_folder.CONFIG).read_text("utf-8"))
        return from_values(completed(values, key_names(Config)) if isinstance(values, dict) else values, Config)
    except (OSError, ValueError, yaml.YAMLError, HarnessError):
        return None
