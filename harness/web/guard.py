"""Who may speak to a server: this machine's own programs, or whoever has the token; and what a page may load.

A page elsewhere must reach nothing, by whatever name it calls this machine (DNS rebinding). Knows nothing of what is
served.
"""

import hmac
import ipaddress
import json
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

Refusal = Callable[[int, str], Any]

MOST_BYTES = 1 << 20  # of what is sent, unless the server says otherwise
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LENGTH = re.compile("[0-9]{1,12}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where the server is. `token`: what must be brought; None on loopback, where this machine alone can ask.

    `page`: the name of a page that a browser opens by a link with the token, and is then known by its cookie; None for
    what only programs ask. `names`: by which the server may be called besides, at any port, as of a proxy.
    """

    host: str
    port: int
    token: str | None = None
    page: str | None = None
    names: tuple[str, ...] = ()

    @property
    def cookie(self) -> str:
        return f"{self.page}_{self.port}"  # cookies know no ports

    def knows(self, host: str) -> bool:
        """Whether a Host header means this server: a name of somebody else's is refused, wherever it leads."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if parts.username is not None or parts.path:
            return False
        if name in self.names:
            return True
        if port != self.port:
            return False
        if self.token is None:
            return name in (*_LOOPBACK, self.host.lower())
        own = socket.gethostname().lower()
        return name in (*_LOOPBACK, self.host.lower(), own, f"{own}.local") or _is_number(name)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _said(status: int, said: str) -> Any:
    return {"fault": "refused", "said": said}


def guarded(app: App, door: Door, *, most_bytes: int = MOST_BYTES, refusal: Refusal = _said) -> App:
    """The app behind the door; every answer carries the policy.

    `most_bytes`: of a body. `refusal`: the JSON that says a status and why.
    """

    async def answer(send: Send, status: int, said: str, headers: dict[str, str] | None = None) -> None:
        await _answer(send, status, refusal(status, said), headers)

    async def at_the_door(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no sockets, no lifespan
        with_headers = _with_headers(send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = _refused(scope, headers, door, most_bytes)
        if refused is not None:
            await answer(with_headers, *refused)
        elif door.token is not None and door.page is not None and _brings(scope, door.token):
            cookie = f"{door.cookie}={door.token}; Path=/; HttpOnly; SameSite=Strict"
            await answer(with_headers, 303, "come in", {"location": "/", "set-cookie": cookie})
        elif door.token is not None and not _is_known(headers, door):
            page = "open the link with the token that the command printed"
            header = {"www-authenticate": "Bearer"} if door.page is None else None
            await answer(with_headers, 401, page if door.page else "send the token: Authorization: Bearer …", header)
        else:
            try:
                body = await _whole_body(scope, receive, most_bytes)
            except _TooLongError:
                await answer(with_headers, 413, _too_long(most_bytes))
            except _GoneError:
                return
            else:
                await app(scope, _after(body, receive), with_headers)

    return at_the_door


def _refused(scope: Message, headers: dict[str, str], door: Door, most_bytes: int) -> tuple[int, str] | None:
    if not door.knows(headers.get("host", "")):
        return 421, "this name does not lead here"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers['host']}":
        return 403, "another page may not ask here"
    from_elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    to_the_page = door.page is not None and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
    if from_elsewhere and not to_the_page:
        return 403, "another page may not ask here"
    if scope["method"] not in ("GET", "HEAD"):
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return 415, "send JSON, with the header content-type: application/json"
        length = headers.get("content-length", "0")
        if not _LENGTH.fullmatch(length) or int(length) > most_bytes:
            return 413, _too_long(most_bytes)
    return None


def _too_long(most_bytes: int) -> str:
    return f"send at most {most_bytes} bytes"


def _brings(scope: Message, token: str) -> bool:
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
    return scope["path"] == "/" and scope["method"] == "GET" and _same(asked, token)


def _is_known(headers: dict[str, str], door: Door) -> bool:
    assert door.token is not None
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        cookies = SimpleCookie()
    brought = cookies[door.cookie].value if door.page is not None and door.cookie in cookies else ""
    return _same(brought, door.token) or _same(headers.get("authorization", ""), f"Bearer {door.token}")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _TooLongError(Exception):
    """More was sent than is taken."""


class _GoneError(Exception):
    """Who asked has left before the end of the question."""


async def _whole_body(scope: Message, receive: Receive, most_bytes: int) -> bytes:
    """One without a length is counted as it comes, and one that is too long ends there."""
    parts, size = [], 0
    while scope["method"] not in ("GET", "HEAD"):
        message = await receive()
        if message["type"] != "http.request":
            raise _GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most_bytes:
            raise _TooLongError
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _after(body: bytes, receive: Receive) -> Receive:
    """What the app receives: the body at once, then what comes of the connection."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return whole.pop() if whole else await receive()

    return receiving


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value) for name, value in message.get("headers", []) if name.decode().lower() not in _HEADERS
            ]
            message["headers"] = kept + [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
        await send(message)

    return sending


async def _answer(send: Send, status: int, content: Any, headers: dict[str, str] | None) -> None:
    body = json.dumps(content).encode()
    own = {"content-type": "application/json", "content-length": str(len(body))} | (headers or {})
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in own.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
