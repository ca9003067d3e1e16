"""Every Hydra command's own YAML."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from harness.config.paths import CONF

COMMANDS = sorted(file.stem for file in Path(CONF).glob("*.yaml") if "app_name: harness." in file.read_text("utf-8"))


@pytest.mark.parametrize("command", COMMANDS)
def test_no_library_logs_into_what_a_command_prints(command: str) -> None:
    """Hydra would show each request of an HTTP client, thousands of them."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(command, return_hydra_config=True)
    assert composed.hydra.job_logging.root is None and composed.hydra.hydra_logging.root is None
