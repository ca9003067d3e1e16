"""Models that come, go and move while others are written."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from harness.config.schema import TrackingConfig
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tracking.registry import resolve, set_alias
from harness.tracking.store import Store
from tests.serving.served import SERVING, Served, chat, promote, served, write_adapter

ASKED: dict[str, Any] = {"messages": chat("河"), "temperature": 0}


@pytest.fixture(scope="module")
def moving(base: Base, make_spec: Callable[..., AdapterSpec], store: Store) -> Iterator[Served]:
    promote(store, "epic", base, make_spec(), 21)
    promote(store, "epic", base, make_spec(rank=8), 22, move=False)
    models = ["models:/epic@champion"]
    with served(replace(SERVING, models=models, max_tokens=400, tracking=TrackingConfig(uri=store.uri))) as here:
        yield here


def version_of(here: Served, name: str = "epic") -> str:
    return str(httpx2.get(f"{here.url}/v1/models/{name}").json()["version"])


def until(here: Served, version: str) -> None:
    waiting = threading.Event()
    for _ in range(400):
        if version_of(here) == version:
            return
        waiting.wait(0.025)
    raise AssertionError(f"version {version} was not taken up")


def test_an_alias_that_moves_is_taken_up_and_a_text_under_way_ends_as_it_began(moving: Served, store: Store) -> None:
    client = moving.client()
    short = {**ASKED, "model": "epic", "max_tokens": 16}
    first = client.chat.completions.create(**short).choices[0].message.content
    alone = client.chat.completions.create(**ASKED, model="epic", max_tokens=300)
    stream = client.chat.completions.create(**ASKED, model="epic", max_tokens=300, stream=True)
    pieces = [next(stream)]
    set_alias(store, "epic", "champion", 2)
    until(moving, "2")
    second = client.chat.completions.create(**short)
    assert second.choices[0].message.content != first
    pieces += list(stream)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == alone.choices[0].message.content
    assert {piece.system_fingerprint for piece in pieces} == {alone.system_fingerprint} != {second.system_fingerprint}
    set_alias(store, "epic", "champion", 1)
    until(moving, "1")
    assert client.chat.completions.create(**short).choices[0].message.content == first
    assert sum("models:/epic@champion is version 2 now, before 1" in line for line in moving.said) == 1


def test_a_version_that_is_broken_leaves_the_former_in_use_and_is_said_once(
    moving: Served, store: Store, base: Base, make_spec: Callable[..., AdapterSpec]
) -> None:
    until(moving, "1")
    number = promote(store, "epic", base, make_spec(), 23, move=False)
    weights = resolve(store, f"models:/epic/{number}") / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    set_alias(store, "epic", "champion", int(number))
    heard = threading.Event()
    for _ in range(400):
        if any(f"version {number}" in line for line in moving.said):
            break
        heard.wait(0.025)
    heard.wait(10 * SERVING.every)  # the registry is asked again and again
    (said,) = [line for line in moving.said if f"version {number}" in line]
    assert said.startswith(f"warning: version {number} of models:/epic@champion cannot be used, version 1 stays: ")
    assert version_of(moving) == "1"
    assert moving.client().chat.completions.create(**ASKED, model="epic", max_tokens=2).choices[0].message.content
    set_alias(store, "epic", "champion", 1)


def test_adapters_are_loaded_and_unloaded_as_with_vllm(moving: Served, essay: Path) -> None:
    client = moving.client()

    def post(path: str, **body: Any) -> httpx2.Response:
        return httpx2.post(f"{moving.url}/v1/{path}", json=body)

    asked = {**ASKED, "model": "guest", "max_tokens": 8}
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**asked)
    reply = post("load_lora_adapter", lora_name="guest", lora_path=str(essay))
    assert (reply.status_code, reply.text) == (200, "Success: LoRA adapter 'guest' added successfully.")
    full = client.chat.completions.create(**asked).choices[0].message.content
    assert post("load_lora_adapter", lora_name="guest", lora_path=str(essay)).json()["error"]["param"] == "lora_name"
    again = post("load_lora_adapter", lora_name="guest", lora_path=f"{essay}=0.5", load_inplace=True)
    assert again.status_code == 200
    assert client.chat.completions.create(**asked).choices[0].message.content != full
    assert "guest" in [model.id for model in client.models.list()]
    assert post("unload_lora_adapter", lora_name="guest").text == "Success: LoRA adapter 'guest' removed successfully."
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**asked)
    for body, param in [
        ({"lora_name": "guest", "lora_path": "nowhere"}, "lora_path"),
        ({"lora_name": "guest", "lora_path": "models:/nobody@champion"}, "lora_path"),
        ({"lora_name": "", "lora_path": str(essay)}, "lora_name"),
        ({"lora_name": "guest"}, "lora_path"),
        ({"lora_name": "epic", "lora_path": str(essay)}, "lora_name"),
        ({"lora_name": "guest", "lora_path": "none"}, "lora_path"),  # the base, which could not be unloaded
        ({"lora_name": "guest", "lora_path": "x" * 5000}, "lora_path"),
    ]:
        reply = post("load_lora_adapter", **body)
        assert reply.status_code == 400 and reply.json()["error"]["param"] == param, body
    gone = post("unload_lora_adapter", lora_name="nobody")
    assert gone.status_code == 404 and gone.json()["error"]["param"] == "lora_name"


def test_an_adapter_of_another_base_is_not_loaded(
    moving: Served, base: Base, make_spec: Callable[..., AdapterSpec], tmp_path: Path
) -> None:
    other = replace(make_spec(), base_revision="another")
    folder = write_adapter(tmp_path / "other", base, other, 3)
    reply = httpx2.post(f"{moving.url}/v1/load_lora_adapter", json={"lora_name": "o", "lora_path": str(folder)})
    assert reply.status_code == 400 and "was trained on builtin:tiny at another" in reply.json()["error"]["message"]


def test_a_client_that_disappears_costs_no_more(moving: Served) -> None:
    async def leave(stream: bool) -> None:
        async with moving.async_client() as client:
            asked: Any = {**ASKED, "model": "epic", "max_tokens": 400, "n": 4}
            if stream:
                reply: Any = await client.chat.completions.create(**asked, stream=True)
                await anext(aiter(reply))
                await reply.close()
            else:
                with pytest.raises(openai.APITimeoutError):
                    await client.with_options(timeout=0.1).chat.completions.create(**asked)

    before = _written(moving)
    for stream in (True, False):
        asyncio.run(leave(stream))
        waiting = threading.Event()
        for _ in range(400):
            if moving.endpoint.service.room.taken == 0:
                break
            waiting.wait(0.025)
        assert moving.endpoint.service.room.taken == 0
    assert _written(moving) - before < 2 * 4 * 400 / 2, "it was not written to the end"
    cut = 'harness_serve_texts_total{finish_reason="cut",model="epic"} 8'
    assert cut in httpx2.get(f"{moving.url}/metrics").text


def _written(here: Served) -> float:
    lines = httpx2.get(f"{here.url}/metrics").text.splitlines()
    name = 'harness_serve_tokens_total{model="epic",of="text"} '
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)
