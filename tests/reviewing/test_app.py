"""What the server answers: the page's files, decisions, and nobody who must not ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.web.guard import MOST_BYTES, Door, is_loopback
from tests.reviewing.written import ADA, client_of, sample, write_samples

TOKEN = "a-long-enough-token"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    return write_samples(folder / "s.jsonl", [sample(number) for number in range(4)])


@pytest.fixture(scope="module")
def client(file: Path) -> Iterator[TestClient]:
    with client_of(file) as made:
        yield made


def _saying(client: TestClient, **words: Any) -> dict[str, Any]:
    item = client.get("/api/view", params={"reviewer": ADA}).json()["item"]
    return {"reviewer": ADA, "item": item["key"], "revision": item["revision"], "request": item["key"]} | words


def test_the_page_has_what_it_needs_and_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/")
    assert 'data-about="{&quot;review&quot;: &quot;r&quot;' in page.text
    names = [part.split('"')[0] for part in page.text.replace('src="', 'href="').split('href="')[1:]]
    assert len(names) >= 7
    for name in names:
        assert client.get(name).status_code == 200, name
        assert "http://" not in client.get(name).text.replace("http://www.w3.org/2000/svg", "")
    assert "style=" not in page.text and "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


def test_a_decision_goes_through_and_a_stale_one_is_told_by_its_kind(client: TestClient) -> None:
    saying = _saying(client, decision="accept", note="n")
    first = client.post("/api/say", json=saying)
    assert first.status_code == 200 and first.json()["counts"]["said"]["accept"] == 1
    stale = client.post("/api/say", json=saying | {"request": "another", "decision": "delete"})
    assert (stale.status_code, stale.json()["fault"]) == (409, "stale")
    gone = client.post("/api/say", json=saying | {"request": "third", "item": "nothing"})
    assert (gone.status_code, gone.json()["fault"]) == (404, "unknown")
    refused = client.post("/api/say", json=_saying(client, decision="edit", edited=" "))
    assert (refused.status_code, refused.json()["fault"]) == (422, "refused")
    odd = client.post("/api/say", json=_saying(client, decision="accept", rank=1))
    assert odd.status_code == 422 and "rank" in odd.json()["said"]
    undone = client.post("/api/undo", json={"reviewer": ADA, "newest": first.json()["undo"], "request": "u"})
    assert undone.json()["undone"] == {"item": saying["item"], "decision": "accept", "edited": None, "note": "n"}
    assert client.get("/api/themes", params={"reviewer": ADA}).json() == [{"theme": "river", "left": 4, "of": 4}]
    assert client.get("/api/measures", params={"reviewer": ADA}).json()[0]["said"] == "none yet"


def test_files_are_written_when_asked_for(client: TestClient, file: Path) -> None:
    names = client.post("/api/export", json={}).json()["files"]
    assert [Path(name).name for name in names] == [
        "decisions.jsonl",
        "accepted.json",
        "chat.jsonl",
        "preferences.jsonl",
        "measures.json",
    ]


def test_half_a_pair_of_utf_16_is_no_reason_to_fail(client: TestClient) -> None:
    for field in ("reviewer", "item", "request", "decision", "note", "state"):
        saying = _saying(client, decision=None, stay=True, request=field) | {field: f"{field}\ud800"}
        body = json.dumps(saying)  # as \\ud800, which only a script would send
        reply = client.post("/api/say", content=body, headers={"content-type": "application/json"})
        assert reply.status_code < 500, field
    saying = _saying(client, decision=None, note="n\x00", stay=True)
    assert client.post("/api/say", json=saying | {"request": "nul"}).json()["item"]["note"] == "n\x00"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:8400"}, 421),
        ({"host": "127.0.0.1:8401"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": "127.0.0.1.evil.example:8400"}, 421),
        ({"host": "user@127.0.0.1:8400"}, 421),
        ({"host": "[::1:8400"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8401"}, 403),
        ({"origin": "https://127.0.0.1:8400"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-length": str(MOST_BYTES + 1)}, 413),
        ({"content-length": "-1"}, 413),
        ({"content-length": b"\xb2"}, 413),  # a digit, and no number
        ({"content-length": "9" * 5000}, 413),
    ],
)
def test_who_must_not_ask_reaches_nothing(headers: dict[str, Any], status: int, client: TestClient) -> None:
    known = {"content-type": "application/json", "origin": "http://127.0.0.1:8400"}
    reply = client.post("/api/export", content=b"{}", headers=known | headers)
    assert reply.status_code == status
    assert "content-security-policy" in reply.headers


def test_a_link_elsewhere_may_lead_to_the_page_and_to_nothing_else(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/api/view", params={"reviewer": ADA}, headers=headers).status_code == 403
    assert client.get("/review.js", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_body_that_says_no_length_ends_where_it_is_too_long(client: TestClient) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(3):
            yield b" " * (MOST_BYTES // 2)

    reply = client.post("/api/say", content=body(), headers={"content-type": "application/json"})
    assert reply.status_code == 413


def test_beyond_this_machine_nothing_is_answered_without_the_token(file: Path) -> None:
    door = Door(host="0.0.0.0", port=8400, token=TOKEN, page="review")
    with client_of(file, door) as client:
        assert client.get("/").status_code == 401
        assert client.get("/review.js").status_code == 401
        assert client.get("/", params={"token": "another"}).status_code == 401
        assert client.get("/", headers={"cookie": "review_8400=no; review_8401=" + TOKEN}).status_code == 401
        come_in = client.get("/", params={"token": TOKEN})
        assert come_in.status_code == 303 and come_in.headers["location"] == "/"
        assert all(word in come_in.headers["set-cookie"] for word in ("HttpOnly", "SameSite=Strict"))
        assert client.get("/").status_code == 200, "the cookie says it"
        client.cookies.clear()
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert client.get("/api/view", params={"reviewer": ADA}, headers=bearer).status_code == 200
        assert client.get("/", headers=bearer | {"host": "192.168.1.7:8400"}).status_code == 200
        assert client.get("/", headers=bearer | {"host": "evil.example:8400"}).status_code == 421


def test_what_is_this_machine_alone() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.7", "example.org")] == [False] * 4
