"""What settings files of mlx_lm.lora say of the data: hf_dataset, one or several, or data with names of features.

Defaults are mlx-lm's own. Knows nothing of how a data set is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError

FEATURES = ("prompt_feature", "completion_feature", "chat_feature", "text_feature")
_SPLITS = ("train_split", "valid_split", "test_split")


@dataclass(frozen=True, kw_only=True)
class Features:
    """Names of columns."""

    prompt: str = "prompt"
    completion: str = "completion"
    chat: str = "messages"
    text: str = "text"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """`path`: a name on Hugging Face's hub, or a local file or folder.

    `splits`: what train, valid and test are, such as "train[:80%]"; None: those that the data set has by name.
    `options`: of datasets.load_dataset, such as {"name": "en"}.
    """

    path: str
    features: Features = Features()
    splits: Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def data_sets(content: Mapping[str, Any]) -> list[DataSet]:
    """Of a settings file; none where `data` is read as it is.

    Raises:
        HarnessError: for one without a path, or with a setting that mlx-lm does not know.
    """
    if given := content.get("hf_dataset"):
        return [_custom(each, content) for each in (given if isinstance(given, list) else [given])]
    if content.get("data") and any(content.get(name) for name in FEATURES):
        return [DataSet(path=str(content["data"]), features=_features(content))]
    return []


def _custom(given: Any, content: Mapping[str, Any]) -> DataSet:
    if not isinstance(given, dict) or not (path := given.get("path") or given.get("name")):
        raise HarnessError(f"hf_dataset must have a path, the name of a data set, but got {given!r:.80}; add it")
    known = ("path", "name", "config", "mask_prompt", *FEATURES, *_SPLITS)
    if unknown := [name for name in given if name not in known]:
        raise HarnessError(f"hf_dataset.{unknown[0]} has no meaning in mlx-lm; it has {', '.join(known)}")
    splits = {
        "train": given.get("train_split", "train[:80%]"),
        "valid": given.get("valid_split", "train[-10%:]"),
        "test": given.get("test_split") if content.get("test") else None,
    }
    return DataSet(
        path=str(path),
        splits={name: str(split) for name, split in splits.items() if split},
        options=dict(given.get("config") or {}),
        features=_features(given),
    )


def _features(given: Mapping[str, Any]) -> Features:
    return Features(**{name.removesuffix("_feature"): str(given[name]) for name in FEATURES if given.get(name)})
