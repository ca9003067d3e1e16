"""An adapter is asked as its run was, unless the command says otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.config.schema import GenerateCommand
from harness.models.adapter_files import AdapterFiles, AdapterSpec
from harness.writing.asked import differ, ways_of_asking
from tests.conftest import compose_config

POEMS: str = yaml.safe_load(Path("conf/data/poems.yaml").read_text("utf-8"))["system"]


@pytest.fixture
def adapter(make_spec: Callable[..., AdapterSpec], tmp_path: Path) -> Callable[..., AdapterFiles]:
    """One of a run with such a configuration; without any, one of elsewhere."""

    def made(name: str, *overrides: str, above: bool = False) -> AdapterFiles:
        folder = tmp_path / name / "adapters"
        folder.mkdir(parents=True)
        if overrides:
            config: Any = compose_config(*overrides)
            record = {"data": {"system": config.data.system}, "prompt": vars(config.prompt)}
            text = yaml.safe_dump(record, allow_unicode=True, sort_keys=False)
            ((folder.parent if above else folder) / "config.yaml").write_text(text, encoding="utf-8")
        return AdapterFiles(make_spec(), folder / "adapters.safetensors", name)

    return made


def command(*overrides: str) -> GenerateCommand:
    found: GenerateCommand = compose_config(*overrides, command=GenerateCommand, config_name="generate")
    return found


def test_system_prompt_and_templates_are_those_of_the_run(adapter: Callable[..., AdapterFiles]) -> None:
    persona = adapter("persona", "prompt=persona", "data=plain", "data.path=x")
    poems = adapter("poems", "prompt=poems", "data.system=写诗", above=True)
    plain = adapter("of elsewhere")
    ways = ways_of_asking(command(), [None, persona, poems, plain])
    assert [way.system for way in ways] == [None, None, "写诗", POEMS]
    assert [list(way.prompt.templates)[:2] for way in ways[:2]] == [["base", "bare"]] * 2
    assert ways[1].prompt.fields["role"] and list(ways[2].prompt.templates)[-1] == "no_break"
    assert ways[3].prompt.templates["base"] == "{chat}" and differ(ways) and not differ(ways[:2])
    assert ways_of_asking(command(), [None])[0].system == POEMS


@pytest.mark.parametrize(
    ("overrides", "system", "names"),
    [
        (["data=plain"], None, ["base", "bare"]),
        (["data=poems", "prompt=plain"], POEMS, ["base"]),
        (["data.system=other"], "other", ["base", "bare"]),
        (["++prompt.templates.mine=<{theme}>"], "recorded", ["base", "bare", "mine"]),
    ],
)
def test_what_the_command_says_goes_before_the_record(
    overrides: list[str], system: str | None, names: list[str], adapter: Callable[..., AdapterFiles]
) -> None:
    one = adapter("one", "prompt=persona", "data.system=recorded")
    (way,) = ways_of_asking(command(*overrides), [one])
    assert way.system == system and list(way.prompt.templates) == names
