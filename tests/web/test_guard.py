"""Who may ask what only programs ask: no page, no cookie, a token where it is not this machine alone."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.errors import HarnessError
from harness.web.guard import Door, Receive, Send, guarded
from harness.web.listening import link, listening, token_for

TOKEN = "a-long-enough-token"
VARIABLE = "HARNESS_TEST_TOKEN"


async def echo(scope: Any, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body or b"here"})


def client_at(door: Door) -> TestClient:
    def refusal(status: int, said: str) -> dict[str, Any]:
        return {"error": {"message": said, "status": status}}

    app = guarded(echo, door, most_bytes=64, refusal=refusal)
    return TestClient(app, base_url=f"http://127.0.0.1:{door.port}", follow_redirects=False)


def test_a_token_counts_in_the_header_alone_where_there_is_no_page() -> None:
    client = client_at(Door(host="127.0.0.1", port=8080, token=TOKEN))
    refused = client.get("/", params={"token": TOKEN})
    assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
    assert refused.json() == {"error": {"message": "send the token: Authorization: Bearer …", "status": 401}}
    assert TOKEN not in refused.text
    assert client.get("/", headers={"cookie": f"None_8080={TOKEN}"}).status_code == 401
    assert client.get("/", headers={"authorization": f"Bearer {TOKEN}"}).text == "here"
    assert client.get("/", headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401


def test_other_pages_reach_nothing_not_even_the_root() -> None:
    client = client_at(Door(host="127.0.0.1", port=8080))
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"origin": "http://evil.example"}).status_code == 403
    navigating = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=navigating).status_code == 403


def test_a_name_that_was_allowed_leads_here_at_any_port_and_no_other_does() -> None:
    client = client_at(Door(host="127.0.0.1", port=8080, names=("poems.example",)))
    for host, status in [("poems.example", 200), ("Poems.example:443", 200), ("other.example", 421)]:
        assert client.get("/", headers={"host": host}).status_code == status


def test_a_body_is_as_long_as_the_server_says() -> None:
    client = client_at(Door(host="127.0.0.1", port=8080))
    json = {"content-type": "application/json"}
    assert client.post("/", content=b"x" * 64, headers=json).text == "x" * 64
    assert client.post("/", content=b"x" * 65, headers=json).status_code == 413
    assert client.post("/", content=iter([b"x" * 40] * 2), headers=json).json()["error"]["status"] == 413


def test_beyond_this_machine_a_token_must_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert token_for("127.0.0.1", VARIABLE) is None
    with pytest.raises(HarnessError, match=rf"--host=0.0.0.0 .* set the environment variable {VARIABLE}"):
        token_for("0.0.0.0", VARIABLE)
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(HarnessError, match=f"{VARIABLE} must be 16 or more letters and digits"):
        token_for("127.0.0.1", VARIABLE)
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert token_for("0.0.0.0", VARIABLE) == token_for("localhost", VARIABLE) == TOKEN


def test_a_port_is_taken_before_its_link_is_said() -> None:
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert link("127.0.0.1", port) == f"http://127.0.0.1:{port}/"
        with (
            pytest.raises(HarnessError, match=f"choose another, such as --port {port + 1}"),
            listening("127.0.0.1", port),
        ):
            pass


def test_an_address_of_this_machine_alone_is_known_by_itself() -> None:
    client = client_at(Door(host="127.0.0.2", port=8080))
    assert client.get("/", headers={"host": "127.0.0.2:8080"}).text == "here"
    assert client.get("/", headers={"host": "127.0.0.3:8080"}).status_code == 421


def test_json_that_is_not_called_so_is_refused_with_the_header_that_is_missing() -> None:
    reply = client_at(Door(host="127.0.0.1", port=8080)).post("/", content="{}")
    assert reply.status_code == 415 and "content-type: application/json" in reply.json()["error"]["message"]
