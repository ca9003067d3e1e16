"""What is asked for while an alias moves: the last word counts."""

import asyncio
import threading
from collections.abc import Callable
from typing import cast

import pytest

from harness.serving.loading import Loader, Loading
from harness.serving.names import Typed
from harness.serving.refusal import RefusalError
from harness.serving.shelf import Shelf, Weights


class Slots:
    """A loader: a slot for each. It says which version an alias means when it `may`."""

    def __init__(self) -> None:
        self.loaded, self.dropped = list[str | None](), list[int]()
        self.asked, self.may = threading.Event(), threading.Event()

    def version(self, reference: str) -> str:
        self.asked.set()
        assert self.may.wait(10)
        return "2"

    def load(self, typed: Typed) -> Weights:
        self.loaded.append(typed.reference)
        return Weights(slot=len(self.loaded), digest=str(typed.reference), version="1")

    def drop(self, slot: int) -> None:
        self.dropped.append(slot)


def loading_of(slots: Slots, shelf: Shelf, say: Callable[[str], None]) -> Loading:
    return Loading(cast(Loader, slots), shelf, say=say, moved=say, every=0.0)


def test_an_adapter_that_takes_the_place_of_an_alias_is_not_replaced_by_where_the_alias_leads() -> None:
    slots, said = Slots(), list[str]()
    loading = loading_of(slots, shelf := Shelf("builtin:tiny", slots.drop), said.append)

    async def replace_meanwhile() -> None:
        await loading.load("guest", "models:/epic@champion")
        following = asyncio.create_task(loading.follow())
        while not slots.asked.is_set():
            await asyncio.sleep(0)
        replacing = asyncio.create_task(loading.load("guest", "models:/other/3", replace=True))
        await asyncio.sleep(0)
        slots.may.set()
        await replacing
        while len(slots.dropped) < 2:
            await asyncio.sleep(0)
        following.cancel()

    asyncio.run(asyncio.wait_for(replace_meanwhile(), 10))
    loading.close()
    (model,) = shelf.models
    assert model.typed.reference == model.edition.weights.digest == "models:/other/3"
    assert slots.loaded[1:] == ["models:/other/3", "models:/epic@champion"] and slots.dropped == [1, 3] and not said


def test_the_base_is_no_adapter_to_load() -> None:
    slots = Slots()
    loading = loading_of(slots, Shelf("builtin:tiny", slots.drop), print)
    with pytest.raises(RefusalError, match="lora_path must be an adapter's"):
        asyncio.run(loading.load("guest", "none"))
    loading.close()
