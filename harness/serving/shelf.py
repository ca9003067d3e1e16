"""What is served at the moment: models by their names, each with the edition that its reference means now.

An edition is weights in a slot. A request keeps the one that it began with; one that was replaced leaves the memory
when its last request has ended. Everything here happens in the event loop but what `Loader` does.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.serving.names import Names, Typed, label
from harness.serving.refusal import RefusalError


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What is in a slot. `digest`: names the weights of base and adapter. `args`: of the adapter's chat template."""

    slot: int
    digest: str
    version: str | None = None
    run: str | None = None
    iteration: int | None = None
    args: dict[str, Any] = field(default_factory=dict)


@dataclass
class Edition:
    """`users`: requests under way with it."""

    weights: Weights
    users: int = 0
    retired: bool = False


@dataclass
class Model:
    typed: Typed
    edition: Edition
    since: int

    @property
    def key(self) -> str:
        return self.typed.word


class Drop(Protocol):
    """Lets go of a slot; nothing waits for it."""

    def __call__(self, slot: int) -> None: ...


class Shelf:
    """`base`: the path of the base."""

    def __init__(self, base: str, drop: Drop) -> None:
        self.base, self.base_name = base, Path(base).name if Path(base).is_absolute() else base
        self._drop = drop
        self._models: dict[str, Model] = {}
        self.kept = 0  # adapters that are in memory, those that were replaced and are still written with among them
        self._names = Names({}, base)

    def put(self, typed: Typed, weights: Weights) -> Model:
        """A new model, or another edition of one that is there."""
        self.kept += bool(weights.slot)
        there = self._models.get(typed.word)
        if there is not None:
            self._retire(there.edition)
            there.typed, there.edition = typed, Edition(weights)
            self._name_again()
            return there
        model = Model(typed, Edition(weights), int(time.time()))
        self._models[typed.word] = model
        self._name_again()
        return model

    def remove(self, model: Model) -> None:
        self._retire(self._models.pop(model.key).edition)
        self._name_again()

    def find(self, name: str | None, param: str = "model") -> Model:
        """`name`: None for the first. `param`: the field that it stands in.

        Raises:
            RefusalError: when there is none of that name, with those that there are.
        """
        key = next(iter(self._models), None) if name is None else self._names.find(name)
        if key is None:
            there = ", ".join(self.label(model) for model in self.models) or "none"
            raise RefusalError(
                404, f"there is no model {(name or '')[:200]}; there is {there}", param=param, code="model_not_found"
            )
        return self._models[key]

    def named(self, name: str) -> Model | None:
        key = self._names.find(name)
        return None if key is None else self._models[key]

    @property
    def models(self) -> list[Model]:
        return list(self._models.values())

    def label(self, model: Model) -> str:
        return label(model.typed, self._names.of(model.key))

    def names(self, model: Model) -> list[str]:
        return self._names.of(model.key)

    @contextmanager
    def using(self, model: Model) -> Iterator[Weights]:
        """The weights of now, which stay as long as they are used."""
        edition = model.edition
        edition.users += 1
        try:
            yield edition.weights
        finally:
            edition.users -= 1
            self._let_go(edition)

    def _retire(self, edition: Edition) -> None:
        edition.retired = True
        self._let_go(edition)

    def _let_go(self, edition: Edition) -> None:
        if edition.retired and not edition.users and edition.weights.slot:
            self.kept -= 1
            self._drop(edition.weights.slot)

    def _name_again(self) -> None:
        self._names = Names({key: model.typed for key, model in self._models.items()}, self.base)
