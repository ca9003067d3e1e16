"""A judge on loopback that speaks OpenAI's chat protocol, has known preferences, and can be told to misbehave.

With `says` it is any other model.
"""

import hashlib
import json
import math
import random
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TEXT = re.compile(r"<text (theme|[A-H]) (\w+)>\n(.*?)\n</text \2>", re.DOTALL)
_WORTH = re.compile(r"worth (-?[\d.]+)")


def said_worth(theme: str, text: str) -> float:
    """Of a text that says what it is worth, as `worth 1.5`."""
    found = _WORTH.search(text)
    return float(found[1]) if found else 0.0


@dataclass
class Habits:
    """How the judge judges: by a text's `worth`, with `noise`, the scale of the Gumbel draw beside it."""

    worth: Callable[[str, str], float] = said_worth  # of theme and text
    noise: float = 1.0
    seed: str = ""
    together: threading.Barrier | None = None  # answer only when so many ask at a time
    first_place: float = 0.0
    by_length: float = 0.0  # for each time that a text is e times as long
    obeys: bool = False
    neither: bool = True  # says so of identical texts
    heeds_schema: bool = True
    faults: list[str] = field(default_factory=list)  # one a request, in order: see _Handler; then none
    always: str | None = None  # a fault of every request but the probe
    # instead of the API's: made of the question and the answer, of every request but the probe
    body: Callable[[str, str], bytes] | None = None
    location: str = ""  # where the fault "elsewhere" redirects to
    says: Callable[[str], str] | None = None  # of the question; instead of a verdict
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    release: threading.Event = field(default_factory=threading.Event)  # ends what is slow
    under_way: int = 0
    most_at_once: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    habits: Habits

    def do_POST(self) -> None:
        habits = self.habits
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with habits.guard:
            habits.requests.append(body)
            habits.keys.append(self.headers.get("Authorization"))
            probe = "Say hello" in body["messages"][-1]["content"]
            fault = None if probe else habits.faults.pop(0) if habits.faults else habits.always
            habits.under_way += 1
            habits.most_at_once = max(habits.most_at_once, habits.under_way)
        try:
            if habits.together is not None:
                habits.together.wait(timeout=10)
            self._answer(body, probe, fault)
        finally:
            with habits.guard:
                habits.under_way -= 1

    def _answer(self, body: dict[str, Any], probe: bool, fault: str | None) -> None:
        text = self._probed(body) if probe else self._judged(body)
        if self.habits.body is not None and not probe:
            return self._send_bytes(200, self.habits.body(_question(body), text), {})
        match fault:
            case "slow":
                self.habits.release.wait(10)
            case "fail":
                return self._send(500, {"error": {"message": "overloaded"}}, {"retry-after-ms": "1"})
            case "limit":
                return self._send(429, {"error": {"message": "too many"}}, {"retry-after-ms": "5"})
            case "much later":
                return self._send(429, {"error": {"message": "too many"}}, {"retry-after": "3600"})
            case "elsewhere":
                return self._send(307, {}, {"location": self.habits.location})
            case "drip":
                return self._drip()
            case "forbid":
                said = f"wrong key {self.headers.get('Authorization')}"
                return self._send(401, {"error": {"message": said}}, {})
            case "refuse":
                return self._say(None, refusal="I cannot judge poems.")
            case "cut":
                return self._say(text[:20], finish="length")
            case "prose":
                return self._say("I think that all of them are lovely.")
            case "invalid":
                return self._say('{"ranking": ["A", "A"], "top": "A", "explanation": "x"}')
            case "nonsense":
                return self._send(200, {"what": 1}, {})
            case "chatty":
                return self._say(f"<think>Hm, {{A}}?</think>Here it is: {text} I hope that it helps.")
            case "fenced":
                return self._say(f"```json\n{text}\n```")
        return self._say(text)

    def _probed(self, body: dict[str, Any]) -> str:
        if not self.habits.heeds_schema or "response_format" not in body:
            return "Hello!"
        properties = body["response_format"]["json_schema"]["schema"]["properties"]
        return json.dumps({name: value["enum"][0] for name, value in properties.items()})

    def _judged(self, body: dict[str, Any]) -> str:
        prompt = _question(body)
        if self.habits.says is not None:
            return self.habits.says(prompt)
        theme, *texts = (text for _, _, text in _TEXT.findall(prompt))
        if "Which of the two" in prompt:
            if texts[0] == texts[1] and self.habits.neither:
                return json.dumps({"better": "neither", "explanation": "the same"})
            return json.dumps({"better": "AB"[self._order(theme, texts)[0]], "explanation": "so"})
        if "Rank the texts" in prompt:
            labels = ["ABCDEFGH"[place] for place in self._order(theme, texts)]
            return json.dumps({"ranking": labels, "top": labels[0], "explanation": "so"})
        names = re.findall(r"^- (.*?): ", body["messages"][0]["content"], re.MULTILINE)
        mark = min(5, max(1, round(3 + self.habits.worth(theme, texts[0]))))
        return json.dumps({name: {"score": mark, "reason": "fair"} for name in names})

    def _order(self, theme: str, texts: list[str]) -> list[int]:
        habits, strengths = self.habits, []
        luck = random.Random(hashlib.sha256("\0".join([habits.seed, *texts]).encode()).digest())
        for place, text in enumerate(texts):
            strength = habits.worth(theme, text)
            strength += habits.noise * -math.log(-math.log(luck.random()))
            strength += habits.first_place if place == 0 else 0.0
            strength += habits.by_length * math.log(1 + len(text.split()))
            strength += 99.0 if habits.obeys and "NOTE TO THE JUDGE" in text else 0.0
            strengths.append(strength)
        return sorted(range(len(texts)), key=lambda place: -strengths[place])

    def _say(self, text: str | None, refusal: str | None = None, finish: str = "stop") -> None:
        message = {"role": "assistant", "content": text, "refusal": refusal}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        self._send(
            200,
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage},
            {},
        )

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        self._send_bytes(status, json.dumps(body).encode(), headers)

    def _drip(self) -> None:
        """A byte now and then, and never the last."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.habits.release.wait(0.02):
            try:
                self.wfile.write(b" ")
            except OSError:  # nobody reads any more
                self.close_connection = True
                return

    def _send_bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def _question(body: dict[str, Any]) -> str:
    return next(message["content"] for message in body["messages"] if message["role"] == "user")


@contextmanager
def judge_server(habits: Habits) -> Iterator[str]:
    """The base URL of the judge."""
    handler = type("Handler", (_Handler,), {"habits": habits})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        # no two servers have one address, though ports come again: replies are kept by address
        yield f"http://127.0.0.1:{server.server_port}/{secrets.token_hex(4)}/v1"
    finally:
        habits.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
