"""README and docs say what is there: links, commands, settings, make targets, the tree."""

import importlib.util
import re
from pathlib import Path

import pytest

from harness.config.load import free_names, key_names
from harness.config.paths import CONF, ROOT
from harness.config.schema import CompareCommand, Config, GenerateCommand, JudgeCommand, PrepareCommand, PromoteCommand

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/README.md",
    ROOT / "data/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
COMMANDS = (Config, GenerateCommand, CompareCommand, JudgeCommand, PrepareCommand, PromoteCommand)


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_commands_are_there(page: Path) -> None:
    named = set(re.findall(r"\b(?:-m |`)((?:harness|benchmarks)\.[a-z_]+)\b(?!\.)", page.read_text("utf-8")))
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []


def test_make_targets_are_there(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))
    named = set(re.findall(r"(?m)(?:`|^)make ([a-z]+)\b", page.read_text("utf-8")))
    assert named <= targets


def test_settings_are_there(page: Path) -> None:
    known = {name for command in COMMANDS for name in key_names(command)}
    free = tuple(f"{name}." for command in COMMANDS for name in free_names(command))
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    named = re.findall(r"(?<![\w./])([a-z_]+\.[a-z_.]+)=", page.read_text("utf-8"))
    assert [n for n in named if n.split(".")[0] in groups and n not in known and not n.startswith(free)] == []


def test_the_tree_names_every_folder_of_the_harness_and_none_that_is_not_there() -> None:
    tree = (ROOT / "README.md").read_text("utf-8").partition("## The tree")[2]
    named = set(re.findall(r"(?m)^  ([a-z]+)/ ", tree)) - {"experiment"}
    there = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert named == there


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 12_500
