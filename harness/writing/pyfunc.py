"""A model version as MLflow's python_function: rows in, texts out, as harness.generate writes them.

MLflow calls `_load_pyfunc`: the MLmodel file beside a promoted checkpoint (tracking/pyfunc_flavor.py) names this
module. It imports no MLflow. Everything of MLX happens in one thread: its streams are a thread's own, and MLflow's
server answers each request in another. What a row means is answers.py's business.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine import blas
from harness.machine.own_thread import OwnThread

_NO_PARAMS: Mapping[str, Any] = {}


def _load_pyfunc(path: str) -> "Writer":
    """`path`: the checkpoint's folder."""
    return Writer(Path(path))


class Writer:
    """The adapter of a folder on its base, in memory."""

    def __init__(self, folder: Path) -> None:
        """Raises: HarnessError when the adapter or its base is not there."""
        blas.load()  # before anything imports mlx

        from harness.writing.answers import open_answers

        self._answers = _mlx_thread().do(lambda: open_answers(folder)).result()

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> list[str]:
        """A text for each row, in their order.

        `data`: a theme or a list of them; rows (dictionaries, or those of a data frame) with one of `theme`, `prompt`
        (taken as it is) and `messages` (through the chat template); or a dictionary of such columns. `params`:
        temperature, top_p, max_tokens and seed, as in conf/generate.

        Raises:
            HarnessError: for a row that is none of these, or a setting out of its range.
        """
        rows = rows_of(data)
        return _mlx_thread().do(lambda: self._answers.write(rows, params or _NO_PARAMS)).result()


@cache
def _mlx_thread() -> OwnThread:
    """That of all models of the process, to its end: one that has computed, and ends as Python does, may abort it."""
    return OwnThread("mlx")


def rows_of(data: Any) -> list[Any]:
    """Of whatever MLflow hands on: its server makes arrays of lists and of single texts, columns of rows."""
    import pandas  # which is there where MLflow loads models

    if isinstance(data, pandas.DataFrame):
        named = data if len(data.columns) != 1 else data.rename(columns={0: "theme"})
        return [_plain(row) for row in named.to_dict("records")]
    if isinstance(data, pandas.Series):
        return [_plain(value) for value in data]
    plain = _plain(data)
    if isinstance(plain, dict):
        return _of_columns(plain)
    return plain if isinstance(plain, list) else [plain]


def _plain(value: Any) -> Any:
    """Without arrays."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _of_columns(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """A single row where its values are no columns: messages are a list themselves."""
    lists = [value for value in columns.values() if isinstance(value, list) and not _is_conversation(value)]
    if len({len(each) for each in lists}) != 1 or len(lists) < len(columns):
        return [columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _is_conversation(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(each, Mapping) and "role" in each for each in value)
