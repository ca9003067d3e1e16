"""What OpenAI's own client gets: the texts of harness.generate, whole and as they come."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from harness.tracking.store import Store
from tests.serving.served import Served, chat, generated

THEMES = ["河", "灯"]
TOOLS: Any = [{"type": "function", "function": {"name": "f"}}]
SEEDED = ["generate.max_tokens=12", "generate.seed=5", "n=2", "variants=base"]


@pytest.mark.parametrize(
    ("model", "adapter", "words"),
    [("ode", "models:/ode@champion", []), ("essay", "ESSAY", ["generate.scale=0.5"]), ("none", "none", ["model=tiny"])],
)
def test_texts_are_those_of_harness_generate(
    model: str, adapter: str, words: list[str], running: Served, store: Store, essay: Path
) -> None:
    expected = generated(adapter.replace("ESSAY", str(essay)), THEMES, *SEEDED, *words, tracking=store.uri)
    client = running.client()
    for theme, samples in zip(THEMES, (expected[:2], expected[2:]), strict=True):
        ask: dict[str, Any] = {"model": model, "seed": 5, "n": 2, "max_tokens": 12}
        reply = client.chat.completions.create(messages=chat(theme), **ask)
        texts = [choice.message.content for choice in reply.choices]
        assert texts == [sample.text for sample in samples]
        assert [choice.finish_reason for choice in reply.choices] == [sample.finish_reason for sample in samples]
        assert reply.usage is not None
        assert reply.usage.completion_tokens == sum(sample.tokens for sample in samples)
        pieces = ["", ""]
        for chunk in client.chat.completions.create(messages=chat(theme), stream=True, **ask):
            for choice in chunk.choices:
                pieces[choice.index] += choice.delta.content or ""
        assert pieces == texts
        plain = client.completions.create(prompt=samples[0].prompt, **ask)
        assert [choice.text.strip() for choice in plain.choices] == texts


def test_models_write_nothing_alike_and_are_called_by_many_names(running: Served, essay: Path) -> None:
    client = running.client()

    def text(name: str, **more: Any) -> str:
        reply = client.completions.create(model=name, prompt="河", max_tokens=8, temperature=0, extra_body=more)
        assert reply.model == name or more
        return reply.choices[0].text

    ode, scaled, bare = text("ode"), text("essay"), text("none")
    assert len({ode, scaled, bare}) == 3
    for name in ("models:/ode@champion", "ode@champion", "builtin:tiny:ode", "default_model"):
        assert text(name) == ode, name
    assert text(f"{essay}=0.5") == scaled and text("builtin:tiny") == bare
    assert text("none", adapters="essay") == scaled, "as mlx_lm.server's clients name one"


def test_models_are_listed_with_version_run_and_scale(running: Served) -> None:
    client = running.client()
    listed: dict[str, Any] = {model.id: model.model_dump() for model in client.models.list()}
    assert list(listed) == ["ode", "essay", "builtin:tiny"]
    ode = listed["ode"]
    assert (ode["version"], ode["iteration"], ode["scale"], ode["parent"]) == ("1", 7, 1.0, "builtin:tiny")
    assert len(ode["run"]) == 32 and "models:/ode@champion" in ode["names"]
    assert listed["essay"]["scale"] == 0.5 and listed["essay"]["version"] is None
    assert client.models.retrieve("models:/ode@champion").id == "ode"
    reply = client.completions.create(model="ode", prompt="a", max_tokens=1)
    assert reply.system_fingerprint == ode["fingerprint"]


def test_usage_comes_at_the_end_of_a_stream_that_asks_for_it(running: Served) -> None:
    asked: dict[str, Any] = {"model": "ode", "messages": chat("河"), "max_tokens": 5, "temperature": 0}
    with running.client() as client:
        chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        whole = client.chat.completions.create(**asked)
        silent = list(client.chat.completions.create(**asked, stream=True))
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in [*chunks[:-1], *silent])
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-2].choices[0].finish_reason == "length"
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].object == "chat.completion.chunk"


def test_a_stop_text_ends_the_text_and_is_never_seen(running: Served) -> None:
    asked: dict[str, Any] = {"model": "essay", "prompt": "河", "max_tokens": 24, "temperature": 0}
    client = running.client()
    whole = client.completions.create(**asked).choices[0].text
    stop = whole[4:9]
    begun = whole[: whole.index(stop)]
    for stops in (stop, ["never written", stop]):
        reply = client.completions.create(**asked, stop=stops)
        assert (reply.choices[0].text, reply.choices[0].finish_reason) == (begun, "stop")
        assert reply.usage is not None and reply.usage.completion_tokens < 24
        chunks = list(client.completions.create(**asked, stop=stops, stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks) == begun
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_logprobs_have_the_shape_of_each_route_whole_and_in_pieces(running: Served) -> None:
    client = running.client()
    asked: dict[str, Any] = {"model": "ode", "messages": chat("河"), "max_tokens": 6, "temperature": 0}
    (choice,) = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2).choices
    assert choice.logprobs is not None and choice.logprobs.content is not None
    tokens = choice.logprobs.content
    assert len(tokens) == 6 and all(len(token.top_logprobs) == 2 for token in tokens)
    assert all(
        token.token == token.top_logprobs[0].token and token.logprob == token.top_logprobs[0].logprob
        for token in tokens
    )
    written = bytes(byte for token in tokens for byte in token.bytes or [])
    assert written.decode("utf-8", "replace").strip() == choice.message.content
    pieces = [
        token
        for chunk in client.chat.completions.create(**asked, logprobs=True, top_logprobs=2, stream=True)
        for token in (chunk.choices[0].logprobs.content or [] if chunk.choices[0].logprobs else [])
    ]
    assert [piece.model_dump() for piece in pieces] == [token.model_dump() for token in tokens]
    plain = client.completions.create(model="ode", prompt="河", max_tokens=4, temperature=0, logprobs=3).choices[0]
    assert plain.logprobs is not None and plain.logprobs.tokens is not None
    assert (
        len(plain.logprobs.tokens) == 4 and plain.logprobs.text_offset[:1] == [0]
        if plain.logprobs.text_offset
        else False
    )
    assert client.completions.create(model="ode", prompt="a", max_tokens=2).choices[0].logprobs is None


def test_several_prompts_and_tokens_are_answered_in_order(running: Served) -> None:
    client = running.client()
    asked: dict[str, Any] = {"model": "none", "max_tokens": 5, "seed": 3}
    one = [client.completions.create(prompt=prompt, n=2, **asked).choices for prompt in THEMES]
    both = client.completions.create(prompt=THEMES, n=2, **asked)
    assert [choice.text for choice in both.choices] == [choice.text for choices in one for choice in choices]
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    ids = running.endpoint.tokenizer.encode("河", special=True).ids
    assert client.completions.create(prompt=ids, **asked).choices[0].text == one[0][0].text


def test_without_a_seed_two_texts_differ(running: Served) -> None:
    client = running.client()
    texts = {client.completions.create(model="none", prompt="河", max_tokens=8).choices[0].text for _ in range(3)}
    assert len(texts) > 1


def test_many_at_once_by_several_models_get_each_its_own(running: Served) -> None:
    async def ask_all() -> list[str]:
        async with running.async_client() as client:

            async def ask(place: int) -> str:
                if place % 2:
                    return (await client.completions.create(**asked(place))).choices[0].text
                stream = await client.completions.create(**asked(place), stream=True)
                return "".join([chunk.choices[0].text async for chunk in stream])

            return list(await asyncio.gather(*map(ask, range(12))))

    def asked(place: int) -> Any:
        model = ("ode", "essay", "none")[place % 3]
        return {"model": model, "prompt": f"{place // 3}", "max_tokens": 10, "seed": 1}

    client = running.client()
    alone = [client.completions.create(**asked(place)).choices[0].text for place in range(12)]
    assert asyncio.run(ask_all()) == alone


def test_what_cannot_be_is_said_as_openai_says_it(running: Served) -> None:
    client = running.client()
    with pytest.raises(openai.NotFoundError, match="there is no model lost; there is ode, essay, builtin:tiny") as lost:
        client.chat.completions.create(model="lost", messages=chat("a"))
    assert (lost.value.code, lost.value.param, lost.value.type) == ("model_not_found", "model", "invalid_request_error")
    with pytest.raises(openai.BadRequestError, match="tools is not supported") as refused:
        client.chat.completions.create(
            model="ode", messages=chat("a"), tools=[{"type": "function", "function": {"name": "f"}}]
        )
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "tools")
    with pytest.raises(openai.BadRequestError, match="max_tokens must be at most 64 here, but got 65"):
        client.completions.create(model="ode", prompt="a", max_tokens=65)
    with pytest.raises(openai.BadRequestError, match="prompt has [0-9]+ tokens, and at most 2048 are taken") as long:
        client.completions.create(model="ode", prompt="河 " * 3000)
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="the base was made for 2048 tokens"):
        client.completions.create(model="ode", prompt=[1] * 2040, max_tokens=20)
    with pytest.raises(openai.BadRequestError, match="prompt has no tokens"):
        client.completions.create(model="ode", prompt="")
    with pytest.raises(openai.BadRequestError, match="chat_template_kwargs must not hold tokenize"):
        client.chat.completions.create(
            model="ode", messages=chat("a"), extra_body={"chat_template_kwargs": {"tokenize": True}}
        )
    for path, status in [("/v1/none", 404), ("/v1/models/lost", 404)]:
        reply = httpx2.get(running.url + path)
        assert reply.status_code == status and reply.json()["error"]["type"] == "invalid_request_error"
    assert httpx2.get(f"{running.url}/v1/completions").json()["error"]["code"] == "method_not_supported"
    body = httpx2.post(f"{running.url}/v1/completions", content=b"{", headers={"content-type": "application/json"})
    assert body.status_code == 400 and "the body must be JSON" in body.json()["error"]["message"]


def test_an_argument_of_the_chat_template_reaches_it(running: Served) -> None:
    """The tiny base's asks for none of its own, so that one it does not know changes nothing."""
    client = running.client()
    asked: dict[str, Any] = {"model": "none", "messages": chat("河"), "max_tokens": 4, "temperature": 0}
    texts = {
        client.chat.completions.create(**asked, extra_body=more).choices[0].message.content
        for more in ({}, {"chat_template_kwargs": {"enable_thinking": False}}, {"chat_template_kwargs": None})
    }
    assert len(texts) == 1


def test_health_and_metrics_say_how_it_goes(running: Served) -> None:
    client = running.client()
    client.completions.create(model="essay", prompt="a", max_tokens=3, temperature=0)
    assert httpx2.get(f"{running.url}/health").json() == {"status": "ok"}
    reply = httpx2.get(f"{running.url}/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in reply.text.splitlines() if not line.startswith("#"))
    assert float(lines['harness_serve_tokens_total{model="essay",of="text"}']) >= 3
    assert float(lines['harness_serve_requests_total{status="200"}']) >= 1
    assert float(lines["harness_serve_first_token_seconds_count"]) >= 1
    assert lines["harness_serve_models"] == "3" and float(lines["harness_serve_memory_bytes"]) > 1e7


def test_the_events_of_a_stream_are_lines_that_any_client_reads(running: Served) -> None:
    body = {"model": "ode", "prompt": "河", "max_tokens": 3, "stream": True}
    reply = httpx2.post(f"{running.url}/v1/completions", json=body)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = reply.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: "))["object"] == "text_completion" for event in events[:-2])


def test_the_clients_of_mlx_lm_server_are_answered_as_they_ask(running: Served) -> None:
    usual = {"temperature": 0.0, "top_p": 1.0, "repetition_penalty": 0.0, "num_draft_tokens": 3, "max_tokens": 6}
    asked = {"messages": chat("河"), "stream": False, **usual}

    def post(path: str, **more: Any) -> dict[str, Any]:
        reply = httpx2.post(running.url + path, json={**asked, **more})
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    first = post(
        "/chat/completions", model="default_model", draft_model="default_model", logprobs=True, top_logprobs=-1
    )
    nameless = post("/v1/chat/completions")
    assert nameless["model"] == "ode" and nameless["choices"][0]["message"] == first["choices"][0]["message"]
    assert len(first["choices"][0]["logprobs"]["content"]) == 6
    other = post("/v1/chat/completions", model="default_model", adapters="essay", logprobs=2)
    assert other["choices"][0]["message"] != first["choices"][0]["message"]
    assert [len(token["top_logprobs"]) for token in other["choices"][0]["logprobs"]["content"]] == [2] * 6
