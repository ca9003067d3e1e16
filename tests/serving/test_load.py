"""Many clients at once, some of whom leave, while an alias moves: no text is mixed up, nothing is lost."""

import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from harness.config.schema import TrackingConfig
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tracking.registry import set_alias
from harness.tracking.store import Store
from tests.serving.load import Seen, load, texts_of
from tests.serving.served import SERVING, Served, promote, served

MODELS = ["hymn", "hymn@next", "essay", "builtin:tiny"]


@pytest.fixture(scope="module")
def loaded(base: Base, make_spec: Callable[..., AdapterSpec], store: Store, essay: Path) -> Iterator[Served]:
    promote(store, "hymn", base, make_spec(), 31)
    set_alias(store, "hymn", "next", 1)
    promote(store, "hymn", base, make_spec(rank=6), 32, move=False)
    models = ["models:/hymn@champion", "models:/hymn@next", f"essay={essay}", "none", "hymn=models:/hymn@champion"]
    with served(replace(SERVING, models=models, batch_size=16, tracking=TrackingConfig(uri=store.uri))) as here:
        yield here


def under_load(here: Served, store: Store, *, clients: int, seconds: float) -> Seen:
    set_alias(store, "hymn", "next", 2)
    while httpx2.get(f"{here.url}/v1/models/hymn@next").json()["version"] != "2":
        continue
    expected = texts_of(here, MODELS)
    versions = itertools.cycle([2, 1])
    seen = load(
        here,
        MODELS,
        expected,
        clients=clients,
        seconds=seconds,
        move=lambda: set_alias(store, "hymn", "champion", next(versions)),
    )
    assert seen.wrong == []
    assert set(seen.kinds) == {"whole", "stream", "leave", "cut"}
    assert here.endpoint.service.room.taken == 0 or _empty(here)
    assert here.endpoint.shelf.kept == 4, "what was replaced has left the memory"
    assert httpx2.get(f"{here.url}/health").json() == {"status": "ok"}
    return seen


def _empty(here: Served) -> bool:
    """What was cut last leaves at the next step."""
    for _ in range(1000):
        if here.endpoint.service.room.taken == 0:
            return True
        httpx2.get(f"{here.url}/health")
    return False


def test_each_answer_is_its_weights_own_while_clients_leave_and_an_alias_moves(loaded: Served, store: Store) -> None:
    seen = under_load(loaded, store, clients=8, seconds=2)
    assert len([writer for writer in seen.writers if writer.startswith("hymn fp_")]) == 2, "by both versions"


@pytest.mark.slow
def test_32_clients_for_a_minute_get_their_own_texts_and_memory_stays_flat(loaded: Served, store: Store) -> None:
    seen = under_load(loaded, store, clients=32, seconds=60)
    third = len(seen.memory) // 3
    middle, last = statistics.median(seen.memory[third : 2 * third]), statistics.median(seen.memory[2 * third :])
    print(f"{dict(seen.kinds)}, memory {middle / 1e6:.0f} → {last / 1e6:.0f} MB")
    assert last < 1.05 * middle
