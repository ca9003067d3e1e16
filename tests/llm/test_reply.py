"""Whatever a body is, it becomes one reply that can be kept, and a judge reads it or says why not."""

import json
import random
import time
from pathlib import Path

import pytest

from harness.judging.replies import UnreadableError
from harness.judging.rubric import Rubric, ask_pair, ask_ranking, ask_scores, read_pair, read_ranking, read_scores
from harness.llm.cache import ReplyCache
from harness.llm.key import Key
from harness.llm.reply import Reply, read_body
from harness.llm.retries import after_status
from tests.llm.odd_replies import NOT_ONE, SCORED, UNSCORED

ANSWER = '{"ranking": ["B", "A"], "top": "B", "explanation": "so \\ud800 \\u0041 %41 &amp; \\n"}'
PIECES = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"null", b"1e999", b"-1", b'"choices"', b"<think>", b"</think>"]
PIECES += [b"\xff", b"\xed\xa0\x80", b"\\ud83d", b"```", b"&#x110000;", b"%zz", b"\\u{110000}", b"0x", b"=", b"\\777"]
RUBRIC = Rubric("You compare poems.", {"theme": "about it"})
PAIR, RANKING = ask_pair(RUBRIC, "河", ["one", "two"]), ask_ranking(RUBRIC, "河", ["one", "two"])


def _read_in_all_ways(text: str) -> None:
    for read in (
        lambda: read_ranking(text, RANKING),
        lambda: read_pair(text, PAIR),
        lambda: read_scores(text, ask_scores(RUBRIC, "河", "one"), RUBRIC.criteria),
    ):
        try:
            read()
        except UnreadableError as error:
            assert str(error)


def test_no_damage_to_a_body_is_more_than_one_reply(tmp_path: Path) -> None:
    """400 bodies with seeded damage: cut, doubled, strewn with what has a meaning somewhere."""
    rng, cache, key = random.Random(0), ReplyCache(tmp_path / "replies.sqlite"), Key("sk-abcdefgh1234")
    sound = [made for make in (UNSCORED | SCORED | NOT_ONE).values() if len(made := make(ANSWER)) < 5000]
    for _ in range(400):
        body = bytearray(rng.choice(sound))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(body) + 1)
            body[at : at + rng.choice((0, 0, 4))] = rng.choice([*PIECES, b""])
        reply = read_body(bytes(body), max_tokens=5, about=len, asked="?").cleaned(key.hide)
        assert reply.tokens_in >= 0 and reply.tokens_out >= 0 and (reply.failure is None) == (reply.why is None)
        reply.text.encode()
        assert Reply.from_json(json.loads(json.dumps(reply.to_json()))) == reply
        _read_in_all_ways(reply.text)
    cache.put("last", reply)
    assert cache.get("last") == reply and cache.get("none") is None


@pytest.mark.parametrize("piece", ["{", '{"', '"', '\\"', "<think>", "</think>", "&", "\\u", "=", "```", "{}"])
def test_a_long_reply_is_read_soon(piece: str) -> None:
    """No form of it takes the square of its length, which would be minutes here."""
    text = piece * (100_000 // len(piece))
    began = time.monotonic()
    _read_in_all_ways(text)
    Key("sk-abcdefgh1234").hide(text)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7),
        (429, {"retry-after-ms": "7000"}, 7),
        (503, {"retry-after": "7"}, 7),
        (429, {"retry-after": "121"}, None),
        (429, {"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}, None),
        (429, {"retry-after": "inf"}, None),
        (429, {"retry-after": "7", "x-should-retry": "false"}, None),
        (400, {"retry-after": "7"}, None),
        (400, {"retry-after": "7", "x-should-retry": "true"}, 7),
        (302, {}, None),
    ],
)
def test_an_endpoint_is_asked_again_when_it_says_so(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert after_status(status, headers, 1).seconds == seconds


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "Mon, 01 Jan 2001 00:00:00 GMT", ""])
def test_where_it_says_nothing_the_waits_grow(value: str) -> None:
    waits = [after_status(429, {"retry-after": value}, tries).seconds or 0 for tries in (1, 2, 3, 20)]
    assert 0.3 < waits[0] < waits[1] < waits[2] < waits[3] <= 8
