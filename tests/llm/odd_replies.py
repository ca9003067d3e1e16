"""Bodies that endpoints were seen to send, or might: by name, each made of what a sound judge would answer."""

import json
from collections.abc import Callable
from typing import Any

Make = Callable[[str], bytes]


def completion(content: Any, **more: Any) -> dict[str, Any]:
    """A whole reply; `more` replaces parts of it."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage} | more


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _content(content: Any) -> Make:
    return lambda answer: _json(completion(content))


def _choices(choices: Any) -> Make:
    return lambda answer: _json(completion("", choices=choices))


def _usage(usage: Any) -> Make:
    return lambda answer: _json(completion(answer, usage=usage))


def _said(change: Callable[[str], str]) -> Make:
    return lambda answer: _json(completion(change(answer)))


_DEEP = b"[" * 100_000 + b"]" * 100_000

# what cannot be scored, and was paid for
UNSCORED: dict[str, Make] = {
    "a choice without a message": _choices([{"index": 0, "finish_reason": "stop"}]),
    "a message of null": _choices([{"message": None}]),
    "a message that is a text": _choices([{"message": "A"}]),
    "a message that is a list": _choices([{"message": [{"content": "A"}]}]),
    "a message without content": _choices([{"message": {"role": "assistant"}}]),
    "a choice of the older API": lambda answer: _json(completion("", choices=[{"text": answer}])),
    "choices as a dict": lambda answer: _json(completion("", choices={"0": {"message": {"content": answer}}})),
    "choices as a text": _choices("A"),
    "choices as a number": _choices(1),
    "choices of null": _choices(None),
    "no choices": _choices([]),
    "a choice of null": _choices([None]),
    "a choice that is a text": _choices(["A"]),
    "a choice that is a list": _choices([[]]),
    "usage alone": lambda answer: _json({"usage": {"prompt_tokens": 1}}),
    "content of null": _content(None),
    "empty content": _content(""),
    "blank content": _content(" \n"),
    "content as a number": _content(3),
    "content as a boolean": _content(True),
    "content as a dict": _content({"ranking": ["A", "B"]}),
    "content as an empty list": _content([]),
    "content as a list of numbers": _content([1, 2]),
    "content as a list of pictures": _content([{"type": "image_url", "image_url": "x"}]),
    "content as a list of parts without text": _content([{"type": "text", "text": 3}]),
    "a refusal": _choices([{"message": {"content": None, "refusal": "no"}}]),
    "a refusal that is a list": _choices([{"message": {"content": None, "refusal": ["no"]}}]),
    "a tool call": _choices([{"message": {"content": None, "tool_calls": [{"function": {"arguments": "{}"}}]}}]),
    "a content filter": lambda answer: _json(
        completion("", choices=[{"message": {"content": answer}, "finish_reason": "content_filter"}])
    ),
    "cut": lambda answer: _json(completion("", choices=[{"message": {"content": answer}, "finish_reason": "length"}])),
    "choices nested thousands deep": lambda answer: b'{"choices": ' + _DEEP + b"}",
    "a reply nested thousands deep": lambda answer: (
        b'{"usage": {}, "choices": [{"message": {"content": ' + _DEEP + b"}}]}"
    ),
    "content nested thousands deep": _content("[" * 90_000),
    "an object nested thousands deep": _content('{"a":' * 15_000),
    "half a reply": lambda answer: _json(completion(answer))[:-40],
    "a stream of events": lambda answer: b"data: " + _json(completion(answer)) + b"\n\ndata: [DONE]\n",
    "two replies": lambda answer: _json(completion(answer)) * 2,
    "a list of replies": lambda answer: _json([completion(answer)]),
    "a lone surrogate": _content("\ud83d"),
    "a lone surrogate in prose": _content("I like \udc00 best"),
    "an escaped surrogate as a label": _said(lambda answer: '{"ranking": ["\\ud800"], "top": "A", "explanation": "x"}'),
    "NUL": _content("\0"),
    "a number of thousands of digits": _content(f'{{"ranking": [{"9" * 9000}], "top": "A", "explanation": ""}}'),
    "a list instead of an object": _content('["A", "B"]'),
    "a text instead of an object": _content('"A"'),
    "null": _content("null"),
    "NaN": _content("NaN"),
    "an empty object": _content("{}"),
    "labels that are lists": _content('{"ranking": [["A"], ["B"]], "top": "A", "explanation": ""}'),
    "labels of null": _content('{"ranking": [null, null], "top": null, "explanation": ""}'),
    "no such label": _content('{"ranking": ["A", "Z"], "top": "A", "explanation": ""}'),
    "a top that is a list": _content('{"ranking": ["A", "B"], "top": ["A"], "explanation": ""}'),
    "a name given twice": _content('{"ranking": ["A", "B"], "ranking": ["B", "A"], "top": "A", "explanation": ""}'),
    "very long": _content("x" * 300_000),
}

# what is read as if nothing were odd
SCORED: dict[str, Make] = {
    "content in parts": _said(lambda answer: answer),
    "usage of null": _usage(None),
    "usage as a text": _usage("many"),
    "usage as a list": _usage([1]),
    "usage with nulls": _usage({"prompt_tokens": None, "completion_tokens": None}),
    "usage with texts": _usage({"prompt_tokens": "100", "completion_tokens": "20"}),
    "usage below nothing": _usage({"prompt_tokens": -(10**9), "completion_tokens": -(10**9)}),
    "usage beyond measure": _usage({"prompt_tokens": 10**400, "completion_tokens": 20}),
    "usage of NaN": _usage({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}),
    "a byte order mark": lambda answer: b"\xef\xbb\xbf" + _json(completion(answer)),
    "an odd end": lambda answer: _json(
        completion("", choices=[{"message": {"content": answer}, "finish_reason": {"why": 1}}])
    ),
    "a surrogate in an explanation": _said(lambda answer: answer.replace('"so"', '"so \\ud800"')),
    "bytes that are no UTF-8": lambda answer: _json(completion(answer.replace("so", "s@"))).replace(b"@", b"\xff"),
}
SCORED["content in parts"] = lambda answer: _json(
    completion([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": answer}])
)

# what is no reply of the API: it names neither choices nor usage, so nothing was paid for
NOT_ONE: dict[str, Make] = {
    "nothing": lambda answer: b"",
    "another object": lambda answer: b'{"what": 1}',
    "an error": lambda answer: b'{"error": {"message": "overloaded"}}',
    "a page": lambda answer: b"<html>Sign in</html>",
    "null alone": lambda answer: b"null",
    "a number alone": lambda answer: b"3",
}
