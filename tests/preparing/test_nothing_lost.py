"""Whatever stands in a file of lines comes out once: as a row that training reads, or as a line with a reason."""

import io
import json
import string
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from harness.config.load import from_values
from harness.config.schema import PrepareCommand, SourceConfig
from harness.data.cleaning import encoding_of
from harness.data.dataset import to_row
from harness.data.lines import first_lines
from harness.data.sources.find import find_source
from harness.data.sources.found import Tools
from harness.errors import HarnessError
from harness.models.base import Base
from harness.preparing.check import Checker
from harness.preparing.collect import Collected, collect
from harness.preparing.spool import Spool
from tests.conftest import compose_config

COMMAND = compose_config("source=chat", "source.path=x", command=PrepareCommand, config_name="prepare")
COMMON = from_values(
    {key: value for key, value in COMMAND.source.items() if key in SourceConfig.__annotations__}, SourceConfig
)
OWN = {key: value for key, value in COMMAND.source.items() if key not in SourceConfig.__annotations__}

texts = some.one_of(
    some.text(max_size=12), some.sampled_from(["河", "a", "", " ", "\x00", "\ud800", "<|im_end|>", "\u2028"])
)
anything = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), texts),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
roles = some.one_of(
    some.sampled_from(["user", "assistant", "system", "tool", "human", "GPT", "用户", "客服"]), anything
)
turns = some.one_of(
    some.fixed_dictionaries(
        {"role": roles, "content": some.one_of(texts, anything)}, optional={"tool_calls": anything}
    ),
    some.fixed_dictionaries({"from": roles, "value": some.one_of(texts, anything)}),
    anything,
)
conversations = some.one_of(some.lists(turns, max_size=5), anything)
records = some.one_of(
    some.fixed_dictionaries({"messages": conversations}, optional={"tools": anything, "label": anything}),
    some.fixed_dictionaries({"conversations": conversations}, optional={"lineage": anything, "system": anything}),
    some.fixed_dictionaries({"prompt": some.one_of(texts, anything), "completion": some.one_of(texts, anything)}),
    some.fixed_dictionaries({"instruction": texts, "output": texts}, optional={"input": anything}),
    some.fixed_dictionaries({"text": some.one_of(texts, anything)}),
    anything,
)


@some.composite
def broken_lines(draw: some.DrawFn) -> bytes:
    """A record's JSON, whole or cut, with other bytes in it; or any bytes."""
    line = json.dumps(draw(records), ensure_ascii=draw(some.booleans())).encode("utf-8", "surrogatepass")
    harm = draw(some.sampled_from(["none", "none", "none", "cut", "insert", "any"]))
    at = draw(some.integers(0, len(line)))
    if harm == "cut":
        line = line[:at]
    elif harm == "insert":
        line = line[:at] + draw(some.binary(max_size=3)) + line[at:]
    elif harm == "any":
        line = draw(some.binary(max_size=20))
    return line.replace(b"\n", b" ")


def _collected(file: Path, base: Base | None, too_long: str) -> tuple[Collected, list[dict[str, Any]]]:
    """What becomes of a file of lines, and the list of what was rejected; each row is read as training does."""
    checker = Checker(None if base is None else base.tokenizer, COMMAND.train, too_long, None)
    tools = Tools(count_tokens=None, say=lambda line: None, cache=file.parent)
    listed = io.StringIO()
    with Spool(file.with_name("spool")) as spool:
        collected = collect(find_source("chat", OWN).rows(file, tools), checker, COMMON, spool, listed)
        spool.write(collected.entries, file.with_name("train.jsonl"))
    lines = list(first_lines(file.with_name("train.jsonl")))
    assert len(lines) == len(collected.entries)
    if base is not None:
        assert all(to_row(line, base.tokenizer, mask_prompt=True).targets for line in lines)
    return collected, [json.loads(line) for line in listed.getvalue().split("\n") if line]


@pytest.mark.parametrize("tokenized", [False, True])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@example(lines=[b'{"\\n": null}'])
@given(lines=some.lists(broken_lines(), max_size=12))
def test_every_line_comes_out_once_as_a_row_or_with_a_reason(tokenized: bool, lines: list[bytes], base: Base) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "raw.jsonl"
        file.write_bytes(b"\n".join(lines))
        if _is_list(file):
            return
        try:
            collected, rejected = _collected(file, base if tokenized else None, "cut")
        except HarnessError as error:
            assert "begins as utf-16" in str(error)
            return
        decoded = file.read_bytes().decode(encoding_of(file), "surrogateescape").split("\n")
        numbers = [f"{file}:{number}" for number, line in enumerate(decoded, start=1) if line.strip()]
        came = [entry.origin for entry in collected.entries] + [each["origin"] for each in rejected]
        assert Counter(came) == Counter(numbers)
        assert all(each["reason"] and "\n" not in each["reason"] and each["kind"] for each in rejected)
        assert collected.rejected.total() == len(rejected)


def _is_list(file: Path) -> bool:
    """Files that begin so are read as one list, or refused."""
    return file.read_bytes().lstrip(b"\xef\xbb\xbf" + string.whitespace.encode()).startswith(b"[")
