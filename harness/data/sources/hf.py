"""Data sets of Hugging Face's hub, local folders and tables of theirs, and those that mlx-lm's settings files name.

Its own held-out splits stay what they are. Rows have the shapes of data/shapes.py; data/tables.py reads them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.config.mlx_lm_data import DataSet, Features, data_sets
from harness.config.schema import Text
from harness.config.yaml_file import read_mapping
from harness.data import tables
from harness.data.sources import chat
from harness.data.sources.digests import digests_of
from harness.data.sources.found import Found, HeldOut, Rejected, Tools
from harness.errors import HarnessError, SettingError

_HELD_OUT: tuple[HeldOut, ...] = ("test", "valid")
_SETTINGS_FILES = (".yaml", ".yml")


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`…_feature`: names of columns, the first two together before the third before the last, as in mlx-lm. `…_split`:
    null is what the data set has. `config`: of datasets.load_dataset. The rest is as for source=chat."""

    prompt_feature: Text
    completion_feature: Text
    chat_feature: Text
    text_feature: Text
    train_split: Text | None
    valid_split: Text | None
    test_split: Text | None
    config: dict[str, Any]
    roles: dict[str, str]
    label_field: str
    group_fields: list[str]

    def __post_init__(self) -> None:
        """Raises: SettingError before anything is read."""
        if "token" in self.config:
            rule = "config.token must not be given: values are recorded; put it into the environment as HF_TOKEN"
            raise SettingError("config.token", rule)
        if self.train_split is None and (self.valid_split or self.test_split):
            raise SettingError("train_split", "train_split must be given where valid_split or test_split is")

    @property
    def chat(self) -> chat.Settings:
        return chat.Settings(roles=self.roles, label_field=self.label_field, group_fields=self.group_fields)


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """What is held out comes first: of two rows that are the same it is the one that stays.

    Raises: HarnessError when there is no such data set.
    """
    chat.check_roles(settings.roles)
    opened = [
        (each, tables.open_splits(each.path, each.splits, each.options, tools.say)) for each in _sets(path, settings)
    ]
    for each, splits in opened:
        for name in _HELD_OUT:
            yield from _rows(each, name, splits.get(name, ()), settings, held_out=name)
    for each, splits in opened:
        yield from _rows(each, "train", splits["train"], settings, held_out=None)


def digests(path: Path, settings: Settings) -> dict[str, str]:
    """Of local files; of a data set of the hub its revision."""
    found, named = digests_of(path) if path.suffix.lower() in _SETTINGS_FILES else {}, _sets(path, settings)
    for number, each in enumerate(named, start=1):
        local = Path(each.path).expanduser()
        of_it = digests_of(local) if local.exists() else {each.path: tables.revision(each.path, each.options)}
        found |= {f"set {number}: {name}" if len(named) > 1 else name: digest for name, digest in of_it.items()}
    return found


def _sets(path: Path, settings: Settings) -> list[DataSet]:
    if path.suffix.lower() in _SETTINGS_FILES and path.is_file():
        content = read_mapping(path)
        named = data_sets(content) or ([DataSet(path=str(content["data"]))] if content.get("data") else [])
        if not named:
            raise HarnessError(
                f"source.path={path} must be a settings file of mlx-lm with hf_dataset or data; it has none"
            )
        return named
    splits = {"train": settings.train_split, "valid": settings.valid_split, "test": settings.test_split}
    one = DataSet(
        path=str(path),
        features=Features(
            prompt=settings.prompt_feature,
            completion=settings.completion_feature,
            chat=settings.chat_feature,
            text=settings.text_feature,
        ),
        splits=None if settings.train_split is None else {name: each for name, each in splits.items() if each},
        options=settings.config,
    )
    return [one]


def _rows(
    each: DataSet, split: str, records: tables.Rows, settings: Settings, *, held_out: HeldOut | None
) -> Iterator[Found | Rejected]:
    kept = ("tools", "lineage", settings.label_field, *settings.group_fields)
    for number, record in enumerate(records, start=1):
        beside = {name: _unfilled(record[name]) for name in kept if record.get(name) is not None}
        line = _shaped(record, each.features) | beside
        yield chat.row_of(line, f"{each.path}, {split} {number}", settings.chat, split=held_out)


def _shaped(record: Mapping[str, Any], names: Features) -> dict[str, Any]:
    """By the names that training knows, in mlx-lm's order; else as it is."""
    if names.prompt in record and names.completion in record:
        return {"prompt": record[names.prompt], "completion": record[names.completion]}
    if names.chat in record:
        return {"messages": _unfilled(record[names.chat])}
    return {"text": record[names.text]} if names.text in record else {**record}


def _unfilled(value: Any) -> Any:
    """Without the names that a table fills in with null, since another row has them: no call of a tool had those."""
    if isinstance(value, list):
        return [_unfilled(each) for each in value]
    if isinstance(value, dict):
        return {name: _unfilled(each) for name, each in value.items() if each is not None}
    return value
