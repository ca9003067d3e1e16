"""What is too much is refused, what is under way is finished, and nobody is let in who must not be."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest

from harness.errors import HarnessError
from harness.serving.session import serve_models
from tests.serving.served import SERVING, Served, chat, served

TOKEN = "a-long-enough-token"
ASKED: dict[str, Any] = {"model": "none", "messages": chat("河"), "temperature": 0}


@pytest.fixture
def narrow() -> Iterator[Served]:
    """One text at a time, and one may wait; whoever asks must have the token."""
    serving = replace(SERVING, models=["none"], base="builtin:tiny", batch_size=1, queue=1, max_tokens=1000)
    with served(serving, token=TOKEN) as here:
        yield here


def test_a_full_queue_and_an_end_in_the_middle_are_said_and_nothing_under_way_is_lost(narrow: Served) -> None:
    client = narrow.client()
    expected = client.chat.completions.create(**ASKED, max_tokens=60).choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="3 texts are asked for at once, and at most 2 are taken"):
        client.chat.completions.create(**ASKED, n=3)
    streams = [client.chat.completions.create(**ASKED, max_tokens=60, stream=True)]
    first = next(streams[0])
    texts: list[str | None] = []
    waiting = threading.Thread(
        target=lambda: texts.append(
            narrow.client().chat.completions.create(**ASKED, max_tokens=60).choices[0].message.content
        )
    )
    waiting.start()
    while narrow.endpoint.service.room.taken < 2:
        waiting.join(0.01)
    with pytest.raises(openai.RateLimitError) as full:
        client.chat.completions.create(**ASKED)
    assert full.value.code == "too_many_requests" and 1 <= int(full.value.response.headers["retry-after"]) <= 60
    narrow.endpoint.server.end()
    with pytest.raises(openai.InternalServerError, match="the server is stopping") as stopping:
        client.chat.completions.create(**ASKED)
    assert stopping.value.status_code == 503 and stopping.value.response.headers["retry-after"] == "5"
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert httpx2.get(f"{narrow.url}/health", headers=bearer).json() == {"status": "stopping"}
    rest = "".join(piece.choices[0].delta.content or "" for piece in [first, *streams[0]])
    waiting.join(20)
    assert [rest, *texts] == [expected, expected]
    narrow.thread.join(20)
    assert not narrow.thread.is_alive()
    assert narrow.said[-1] == "ending when 2 texts are written, in 20 s at most; Ctrl-C once more ends it now"


def test_nothing_is_told_without_the_token(narrow: Served) -> None:
    for path in ("/v1/models", "/health", "/metrics"):
        assert httpx2.get(narrow.url + path).status_code == 401
        assert httpx2.get(narrow.url + path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    narrow.token = "another-token-here"
    with pytest.raises(openai.AuthenticationError, match="send the token") as refused:
        narrow.client().models.list()
    assert refused.value.type == "authentication_error"


def test_pages_and_names_of_others_reach_nothing(running: Served) -> None:
    body = {"model": "none", "prompt": "a", "max_tokens": 1}
    for headers, status in [
        ({"origin": "http://evil.example"}, 403),
        ({"host": "evil.example"}, 421),
        ({"content-type": "text/plain"}, 415),
    ]:
        reply = httpx2.post(f"{running.url}/v1/completions", json=body, headers=headers)
        assert reply.status_code == status and reply.json()["error"]["type"], headers


def test_the_command_says_what_cannot_be_before_a_weight_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_SERVE_TOKEN", raising=False)
    for change, complaint in [
        ({"host": "0.0.0.0"}, "needs a token: set the environment variable HARNESS_SERVE_TOKEN"),
        ({"models": ["none"]}, "the bare base alone must be named: give it with --model"),
        ({"models": ["a=none", "a=nowhere"]}, "a=… names 2 models, but a name is of one"),
        ({"models": ["nowhere"]}, "adapter nowhere must be a folder with adapters.safetensors"),
    ]:
        with pytest.raises(HarnessError, match=complaint):
            serve_models(replace(SERVING, **change), lambda line: None)  # type: ignore[arg-type]


def test_a_text_that_does_not_end_holds_up_no_end() -> None:
    serving = replace(SERVING, models=["none"], base="builtin:tiny", grace=0.0, max_tokens=2000)
    with served(serving) as here:
        stream = here.client().chat.completions.create(**ASKED, max_tokens=2000, stream=True)
        next(stream)
        here.endpoint.server.end()
        with pytest.raises(openai.APIError, match="the server has stopped"):
            list(stream)
        here.thread.join(20)
        assert not here.thread.is_alive() and here.endpoint.service.room.taken == 0
