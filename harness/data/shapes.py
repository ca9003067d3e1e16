"""The shapes in which people have conversations, each turned into messages or a text: the one home of that.

{"messages"} and {"conversations"} with role/content or from/value, {"prompt", "completion"}, Alpaca's {"instruction",
"input", "output"}, {"text"}. Knows nothing of files, labels or tokens.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.data.kinds import Kind

Message = dict[str, Any]

ROLES = ("system", "user", "assistant", "tool")

# what people call them, in lower case
ROLE_NAMES: dict[str, str] = {role: role for role in ROLES} | {
    "human": "user",
    "prompter": "user",
    "instruction": "user",
    "用户": "user",
    "人类": "user",
    "问": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "助手": "assistant",
    "机器人": "assistant",
    "答": "assistant",
    "系统": "system",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "工具": "tool",
}

CONVERSATIONS = ("messages", "conversations", "conversation")


class ShapeError(Exception):
    """`rule`: one line that says what it must be, and what it is."""

    def __init__(self, kind: Kind, rule: str) -> None:
        super().__init__(rule)
        self.kind, self.rule = kind, " ".join(rule.split())


@dataclass(frozen=True)
class Shaped:
    """Either `messages` for a chat template, with the `tools` they may call, or `text` to be taken as it is."""

    messages: list[Message] | None
    text: str | None
    tools: list[Any] | None


def shaped(record: Mapping[str, Any], roles: Mapping[str, str] = ROLE_NAMES) -> Shaped:
    """`roles`: what a name in the record, in lower case, means.

    Raises:
        ShapeError: for a record in no shape that is known, or broken within its shape.
    """
    tools = record.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise ShapeError(Kind.TYPE, f"tools must be a list, but it is a {type(tools).__name__}")
    for name in CONVERSATIONS:
        if name in record:
            return Shaped(_messages(name, record[name], record.get("system"), roles), None, tools or None)
    if "prompt" in record and "completion" in record:
        return Shaped(_pair(record, "prompt", "completion"), None, tools or None)
    if "instruction" in record and "output" in record:
        return Shaped(_alpaca(record), None, tools or None)
    if isinstance(record.get("text"), str):
        return Shaped(None, record["text"], None)
    keys = f"{', '.join(map(str, record)) or 'no keys':.120}"
    raise ShapeError(
        Kind.SHAPE,
        "must have messages, or prompt and completion, or text, or conversations, or instruction and output, "
        f"but it has {keys}",
    )


def weight_of(record: Mapping[str, Any]) -> float:
    """What a row's tokens count while training: 1 unless it says otherwise.

    Raises:
        ShapeError: for what is no number above 0.
    """
    weight = record.get("weight")
    if weight is None:
        return 1.0
    if isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < math.inf:
        return float(weight)
    rule = f"weight must be a number above 0, but it is {weight!r:.60}; leave it out for 1, or leave out the row"
    raise ShapeError(Kind.TYPE, rule)


def _messages(name: str, value: Any, system: Any, roles: Mapping[str, str]) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise ShapeError(
            Kind.EMPTY if value == [] else Kind.TYPE,
            f"{name} must be a list of at least one message, but it is {value!r:.60}",
        )
    messages = [_message(each, roles) for each in value]
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    if not any(message["role"] == "assistant" for message in messages):
        raise ShapeError(Kind.NOTHING, "there must be an assistant message to learn, but there is none")
    return messages


def _message(value: Any, roles: Mapping[str, str]) -> Message:
    if not isinstance(value, dict):
        raise ShapeError(Kind.TYPE, f"a message must have role and content as texts, but got {value!r:.60}")
    who, what = ("from", "value") if "from" in value and "role" not in value else ("role", "content")
    role, content = value.get(who), _joined(value.get(what))
    if not isinstance(content, str) and not (content is None and value.get("tool_calls")):
        raise ShapeError(Kind.TYPE, f"a message must have {who} and {what} as texts, but got {value!r:.60}")
    meant = roles.get(role.strip().lower()) if isinstance(role, str) else None
    if meant is None:
        named = f"{', '.join(ROLES)}, or a name for one of them such as human or gpt"
        raise ShapeError(Kind.ROLE, f"{who} must be one of {named}, but got {role!r}; source.roles can name more")
    kept = {key: each for key, each in value.items() if key not in (who, what) and each is not None}  # for templates
    return {"role": meant, "content": content or "", **kept}


def _joined(content: Any) -> Any:
    """A list of parts that are all texts, as one text."""
    if isinstance(content, list) and content and all(_is_text(part) for part in content):
        return "\n".join(part["text"] for part in content)
    return content


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _pair(record: Mapping[str, Any], first: str, second: str) -> list[Message]:
    for name in (first, second):
        if not isinstance(record[name], str):
            raise ShapeError(Kind.TYPE, f"{name} must be a text, but it is a {type(record[name]).__name__}")
    return [{"role": "user", "content": record[first]}, {"role": "assistant", "content": record[second]}]


def _alpaca(record: Mapping[str, Any]) -> list[Message]:
    """The input under the instruction, as most templates have it."""
    for name in ("input", "system"):
        if record.get(name) is not None and not isinstance(record[name], str):
            raise ShapeError(Kind.TYPE, f"{name} must be a text, but it is a {type(record[name]).__name__}")
    messages = _pair(record, "instruction", "output")
    if (record.get("input") or "").strip():
        messages[0]["content"] += f"\n\n{record['input']}"
    if (record.get("system") or "").strip():
        messages.insert(0, {"role": "system", "content": record["system"]})
    return messages
