"""Adapters put on and taken off while others write: from a reference to a slot, and an alias followed where it goes.

Knows registry, worker and shelf. Does not know HTTP.
"""

import asyncio
import time
from collections.abc import Callable

from harness.errors import HarnessError, reason
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base
from harness.models.common_base import of_another_base, weights_digest
from harness.models.stacked import StackedAdapters
from harness.serving.background import Background
from harness.serving.names import Typed, read_word
from harness.serving.refusal import RefusalError
from harness.serving.registry import Found, Registry, moves
from harness.serving.shelf import Model, Shelf, Weights
from harness.serving.worker import Worker

Say = Callable[[str], None]

_AGAIN_SECONDS = 60.0  # before a version that could not be read is tried once more
_LONGEST_NAME = 200


class Loader:
    """Puts what a reference leads to into a slot. It takes its time, and is called beside the event loop."""

    def __init__(self, registry: Registry, base: Base, worker: Worker, stacked: Callable[[], StackedAdapters]) -> None:
        self._registry, self._base, self._worker, self._stacked = registry, base, worker, stacked

    def version(self, reference: str) -> str:
        return self._registry.version(reference)

    def load(self, typed: Typed) -> Weights:
        """
        Raises:
            HarnessError: when there is no such adapter, or it does not fit this base.
        """
        if typed.reference is None:
            return self.bare()
        found = self._registry.find(typed.reference)
        if (other := of_another_base(found.adapter, self._base)) is not None:
            raise HarnessError(f"{other}; serve it with a base of its own")
        return self.put(found, typed.scale)

    def put(self, found: Found, scale: float) -> Weights:
        """
        Raises:
            HarnessError: when it does not fit this base.
        """
        adapter: AdapterFiles = found.adapter
        digest = weights_digest(self._base, adapter)
        slot = self._worker.call(lambda: self._stacked().put(adapter, scale)).result()
        return Weights(
            slot=slot,
            digest=digest if scale == 1 else f"{digest}-{scale:g}",
            version=found.version,
            run=found.run,
            iteration=adapter.iteration,
            args=adapter.spec.template_args,
        )

    def bare(self) -> Weights:
        return Weights(slot=0, digest=self._base.revision[:16], args=dict(self._base.template_args))

    def drop(self, slot: int) -> None:
        """Nothing waits for it."""
        self._worker.call(lambda: self._stacked().drop(slot))


class Loading:
    """What is asked for while the server runs. `say` hears what a person should know; `moved`: of a version taken up,
    with the model's label. `every`: seconds between two looks at the registry."""

    def __init__(
        self, loader: Loader, shelf: Shelf, *, say: Say, moved: Callable[[str], None], every: float = 1.0
    ) -> None:
        self._loader, self._shelf, self._say, self._moved, self._every = loader, shelf, say, moved, every
        self._background = Background("adapters")
        self._broken: dict[str, tuple[str, float]] = {}  # by model: a version, and when it was tried
        self._silent: set[str] = set()  # models of which the registry said nothing when it was last asked

    async def load(self, name: str, path: str, *, replace: bool = False) -> Model:
        """An adapter under a name of its own.

        Raises:
            RefusalError: for a name that is taken, or an adapter that is not there or does not fit.
        """
        self._check_name(name, replace)
        try:
            word = read_word(path)
            if word.reference is None:
                raise HarnessError(
                    "lora_path must be an adapter's, but none is the base, which is there by its own name"
                )
            typed = Typed(name, word.reference, word.scale, name)
            weights = await self._background.do(lambda: self._loader.load(typed))
        except (HarnessError, OSError) as error:  # the latter of a path that no system takes
            raise RefusalError(400, reason(error)[:500], param="lora_path", code="invalid_value") from error
        try:
            self._check_name(name, replace)  # it may have been given meanwhile
        except RefusalError:
            self._loader.drop(weights.slot)
            raise
        return self._shelf.put(typed, weights)

    def unload(self, name: str) -> None:
        """Those under way finish.

        Raises:
            RefusalError: when there is no adapter of that name.
        """
        model = self._shelf.find(name, param="lora_name")
        if model.typed.reference is None:
            raise RefusalError(400, f"{name} is the base, and stays", param="lora_name")
        self._shelf.remove(model)

    async def follow(self) -> None:
        """Take up where aliases lead, as long as it is not cancelled."""
        while True:
            await asyncio.sleep(self._every)
            for model in self._shelf.models:
                if moves(model.typed.reference):
                    await self._look(model)

    def close(self) -> None:
        self._background.close()

    async def _look(self, model: Model) -> None:
        typed, reference = model.typed, model.typed.reference
        assert reference is not None
        try:
            version = await self._background.do(lambda: self._loader.version(reference))
        except Exception as error:  # of MLflow, its database or its server, which share no class
            if model.key not in self._silent:
                self._say(f"warning: {reference} cannot be looked up, and stays as it is: {reason(error)}")
            self._silent.add(model.key)
            return
        self._silent.discard(model.key)
        if model.typed is not typed:  # another adapter was put in its place meanwhile
            return
        if version != model.edition.weights.version and self._may_try(model.key, version):
            await self._take_up(model, typed, version)

    async def _take_up(self, model: Model, typed: Typed, version: str) -> None:
        before = model.edition.weights.version
        again = self._broken.get(model.key, ("", 0.0))[0] == version
        try:
            weights = await self._background.do(lambda: self._loader.load(typed))
        except Exception as error:  # whatever is wrong with it, the former is in use
            self._broken[model.key] = version, time.monotonic()
            if not again:
                self._say(
                    f"warning: version {version} of {typed.reference} cannot be used, version {before} stays: "
                    f"{reason(error)}"
                )
            return
        self._broken.pop(model.key, None)
        if model not in self._shelf.models or model.typed is not typed:  # it was unloaded or replaced meanwhile
            self._loader.drop(weights.slot)
            return
        self._shelf.put(typed, weights)
        self._moved(self._shelf.label(model))
        self._say(f"{typed.reference} is version {weights.version} now, before {before}")

    def _may_try(self, key: str, version: str) -> bool:
        tried, when = self._broken.get(key, ("", 0.0))
        return tried != version or time.monotonic() - when > _AGAIN_SECONDS

    def _check_name(self, name: str, replace: bool) -> None:
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise RefusalError(400, f"lora_name must be 1 to {_LONGEST_NAME} characters", param="lora_name")
        there = self._shelf.named(name)
        if there is not None and not (replace and there.key == name):
            raise RefusalError(
                400, f"lora_name {name} is there already; unload it first, or choose another", param="lora_name"
            )
