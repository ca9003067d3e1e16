"""What hosts of the project run: workflows parse, and call what is there."""

import re
from typing import Any

import pytest
import yaml

from harness.config.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_is_there_on_both_systems(path: Any) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "jobs", "permissions"} <= content.keys()
    for job in content["jobs"].values():
        assert {system.split("-")[0] for system in job["strategy"]["matrix"]["system"]} == {"ubuntu", "macos"}
        commands = "\n".join(step.get("run", "") for step in job["steps"])
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(re.findall(r"\bmake (\w+)", commands)) <= set(targets)
        for module in re.findall(r"-m (benchmarks\.\w+)", commands):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists()
        assert "http" not in commands and "index" not in commands
