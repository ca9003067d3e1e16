"""What came back for one call, and what of an endpoint's body counts: whatever it is, it stands alone.

Knows nothing of how it was asked for.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from harness.files import writable

_LONGEST = 100_000  # characters of a reply; a judge says a few hundred
_MOST_TOKENS = 1_000_000_000  # a count above it is none


class Failure(Enum):
    """Why there is no whole text."""

    NO_REPLY = "no reply"  # of the endpoint: nothing was paid for, so it may be asked again
    REFUSED = "refused"
    CUT = "cut"
    ODD = "odd"  # a reply in another form than the API's


@dataclass(frozen=True)
class Reply:
    """`failure`, and `why` in words: None where `text` is whole. `cached`: it cost nothing."""

    text: str
    failure: Failure | None = None
    why: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cached: bool = False

    @property
    def answered(self) -> bool:
        """Whether the endpoint said anything, be it unusable."""
        return self.failure is not Failure.NO_REPLY

    def cleaned(self, hide: Callable[[str], str]) -> "Reply":
        """As it can be written: without the key, and in characters that a file can hold."""
        why = None if self.why is None else writable(hide(self.why))
        return replace(self, text=writable(hide(self.text)), why=why)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"failure": self.failure and self.failure.value}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Reply":
        """As it was kept, also by versions that had words alone.

        Raises:
            KeyError, TypeError, ValueError: when it is none.
        """
        if "why" not in record:
            why = record["failure"]
            return cls(**{**record, "failure": None if why is None else Failure.ODD, "why": why})
        failure = record["failure"]
        return cls(**{**record, "failure": None if failure is None else Failure(failure)})


def no_reply(why: str, text: str = "") -> Reply:
    return Reply(text[:_LONGEST], Failure.NO_REPLY, f"{Failure.NO_REPLY.value}: {why}")


def read_body(body: bytes, *, max_tokens: int, about: Callable[[str], int], asked: str) -> Reply:
    """A body that came with status 200.

    Args:
        max_tokens: that the reply may have, for the words.
        about: tokens of a text, roughly; for what the endpoint does not count.
        asked: the text of the question.
    """
    text = body.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        record = None
        odd = f"not JSON that can be read ({error})"
    else:
        odd = "JSON, but none of the chat API's"
    if not isinstance(record, dict) or not {"choices", "usage"} & set(record):
        # what names neither is no completion, so nothing was paid; a body that cannot be parsed may be one
        paid = not isinstance(record, dict) and ('"choices"' in text or '"usage"' in text)
        reply = _odd(text, odd) if paid else no_reply(f"what came back is {odd}", text)
    else:
        reply = _read_record(record, text, max_tokens)
    if not reply.answered:
        return reply
    usage = record.get("usage") if isinstance(record, dict) else None
    return replace(
        reply,
        tokens_in=_tokens(usage, "prompt_tokens", about(asked)),
        tokens_out=_tokens(usage, "completion_tokens", about(reply.text)),
    )


def _read_record(record: dict[str, Any], body: str, max_tokens: int) -> Reply:
    choices = record.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return _odd(body, "a reply without a choice")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        return _odd(body, "a choice without a message")
    if refusal := message.get("refusal"):
        return Reply(_said(refusal)[:_LONGEST], Failure.REFUSED, "refused")
    content = _text(message.get("content"))
    if content is None:
        kind = type(message["content"]).__name__
        return _odd(_said(message["content"]), f"a message whose content is no text but a {kind}")
    if len(content) > _LONGEST:
        return Reply(content[:_LONGEST], Failure.CUT, f"longer than {_LONGEST} characters")
    if choice.get("finish_reason") == "content_filter":
        return Reply(content, Failure.REFUSED, "refused by a content filter")
    if choice.get("finish_reason") == "length":
        return Reply(content, Failure.CUT, f"cut at {max_tokens} tokens")
    return Reply(content)


def _text(content: Any) -> str | None:
    """Of a content: a text, none, or a list of parts of which those of text count; None for anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not content:
        return None
    parts = [each.get("text") for each in content if isinstance(each, dict) and each.get("type") == "text"]
    texts = [each for each in parts if isinstance(each, str)]
    return "".join(texts) if texts and len(texts) == len(parts) else None


def _odd(text: str, why: str) -> Reply:
    return Reply(text[:_LONGEST], Failure.ODD, f"the endpoint's reply is {why}")


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tokens(usage: Any, name: str, otherwise: int) -> int:
    """As the endpoint counts them, where that is a count."""
    count = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count <= _MOST_TOKENS:
        return otherwise
    return int(count)
