"""What a request asks for: OpenAI's fields and those that mlx_lm.server's and vLLM's clients send, checked.

What would change the text and cannot be done is refused by its name; what changes no text is taken and left. Knows no
models and no tokens.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from harness.serving.refusal import RefusalError
from harness.serving.values import number, of_kind, whole, wrong

MOST_CHOICES = 16
_MOST_STOPS = 16
_MOST_ALTERNATIVES = 20
_ROLES = ("system", "developer", "user", "assistant")

Message = dict[str, Any]

# they change no text: who asks, how it is counted, and how mlx_lm.server guesses ahead
_HARMLESS = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "num_draft_tokens",
    "draft_model",
    "repetition_context_size",
    "presence_context_size",
    "frequency_context_size",
    "xtc_threshold",
}
# what cannot be done, with the values by which clients say that they do not want it; null says so too
_UNDONE: Mapping[str, Sequence[Any]] = {
    "tools": [[]],
    "tool_choice": ["none", "auto"],
    "functions": [[]],
    "function_call": ["none", "auto"],
    "response_format": [{"type": "text"}],
    "frequency_penalty": [0],
    "presence_penalty": [0],
    "repetition_penalty": [0, 1],
    "logit_bias": [{}],
    "top_k": [0, -1],
    "min_p": [0],
    "min_tokens": [0],
    "xtc_probability": [0],
    "echo": [False],
    "suffix": [""],
    "best_of": [1],
    "modalities": [["text"]],
    "audio": [],
    "prediction": [],
    "reasoning_effort": [],
    "verbosity": [],
    "web_search_options": [],
    "role_mapping": [],
    "ignore_eos": [False],
    "stop_token_ids": [[]],
    "include_stop_str_in_output": [False],
    "add_generation_prompt": [True],
    "continue_final_message": [False],
    "chat_template": [],
}
_ASKED = {
    "model",
    "adapters",
    "n",
    "seed",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "stream",
    "stream_options",
    "logprobs",
    "top_logprobs",
}
_OF_CHAT = {"messages", "chat_template_kwargs"}
_OF_TEXT = {"prompt"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What both routes share; None: not said. `model`: a name, None for the first that is served.

    `logprobs`: of how many alternatives beside the token that was chosen; None: of none at all.
    """

    model: str | None
    n: int
    seed: int | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: tuple[str, ...]
    stream: bool
    usage: bool
    logprobs: int | None


@dataclass(frozen=True, kw_only=True)
class ChatAsked(Asked):
    messages: list[Message]
    template_args: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TextAsked(Asked):
    """`prompts`: texts, or the tokens of one."""

    prompts: list[str | list[int]]


def read_chat(body: dict[str, Any]) -> ChatAsked:
    """
    Raises:
        RefusalError: naming the first field that cannot be.
    """
    _check_names(body, _ASKED | _OF_CHAT)
    return ChatAsked(
        **_shared(body, alternatives=_chat_logprobs(body)),
        messages=_messages(body.get("messages")),
        template_args=_template_args(body.get("chat_template_kwargs")),
    )


def read_text(body: dict[str, Any]) -> TextAsked:
    """
    Raises:
        RefusalError: naming the first field that cannot be.
    """
    _check_names(body, _ASKED | _OF_TEXT)
    return TextAsked(**_shared(body, alternatives=_text_logprobs(body)), prompts=_prompts(body.get("prompt")))


def _shared(body: dict[str, Any], *, alternatives: int | None) -> dict[str, Any]:
    options = of_kind(body, "stream_options", dict) or {}
    for name in options:
        if name not in ("include_usage", "include_obfuscation", "continuous_usage_stats"):
            raise _unknown(f"stream_options.{name}")
    stream = bool(of_kind(body, "stream", bool))
    tokens = whole(body, "max_completion_tokens", 1)
    return {
        "model": _named(body),
        "n": whole(body, "n", 1, MOST_CHOICES) or 1,
        "seed": whole(body, "seed"),
        "temperature": number(body, "temperature", 0, 5),
        "top_p": number(body, "top_p", 0, 1, above=True),
        "max_tokens": whole(body, "max_tokens", 1) if tokens is None else tokens,
        "stop": _stops(body.get("stop")),
        "stream": stream,
        "usage": stream and bool(options.get("include_usage")),
        "logprobs": alternatives,
    }


def _check_names(body: dict[str, Any], asked: Set[str]) -> None:
    for name, value in body.items():
        if name in asked or name in _HARMLESS or value is None:
            continue
        if name not in _UNDONE:
            raise _unknown(name, asked)
        if not any(value == usual for usual in _UNDONE[name]):
            raise RefusalError(
                400,
                f"{name} is not supported: it would change what is written; leave it out",
                param=name,
                code="unsupported_parameter",
            )


def _unknown(name: str, known: Set[str] = frozenset()) -> RefusalError:
    near = get_close_matches(name[:80], known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return RefusalError(400, f"unknown field {name[:80]}{meant}", param=name[:80], code="unknown_parameter")


def _named(body: dict[str, Any]) -> str | None:
    """mlx_lm.server's clients name an adapter beside the model."""
    model, adapter = of_kind(body, "model", str), of_kind(body, "adapters", str)
    return model if adapter is None else adapter


def _chat_logprobs(body: dict[str, Any]) -> int | None:
    """Whether, and top_logprobs how many; a number means both, as some clients have it."""
    value = body.get("logprobs")
    if value is not None and not isinstance(value, bool):
        return whole(body, "logprobs", 0, _MOST_ALTERNATIVES)
    wanted = _alternatives(body)
    if wanted and not value:
        raise RefusalError(400, "top_logprobs needs logprobs=true", param="top_logprobs", code="invalid_value")
    return wanted if value else None


def _text_logprobs(body: dict[str, Any]) -> int | None:
    """How many; mlx_lm.server's clients say whether, and top_logprobs how many."""
    if isinstance(body.get("logprobs"), bool):
        return _alternatives(body) if body["logprobs"] else None
    return whole(body, "logprobs", 0, _MOST_ALTERNATIVES)


def _alternatives(body: dict[str, Any]) -> int:
    return max(whole(body, "top_logprobs", -1, _MOST_ALTERNATIVES) or 0, 0)


def _messages(value: Any) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise wrong("messages", "must be a list of at least one message", value)
    return [_message(each, f"messages[{place}]") for place, each in enumerate(value)]


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict):
        raise wrong(where, "must be an object with role and content", value)
    role = value.get("role")
    if role not in _ROLES:
        raise wrong(f"{where}.role", f"must be one of {', '.join(_ROLES)}", role)
    if value.get("tool_calls") or value.get("function_call"):
        raise RefusalError(
            400, f"{where}.tool_calls is not supported", param=f"{where}.tool_calls", code="unsupported_parameter"
        )
    kept = {name: text for name in ("reasoning_content", "reasoning", "thinking") if (text := value.get(name))}
    content = _content(value.get("content"), f"{where}.content")
    return {"role": "system" if role == "developer" else role, "content": content, **kept}


def _content(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise wrong(where, "must be a text, or a list of parts of the type text", value)
    parts = []
    for place, part in enumerate(value):
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise wrong(f"{where}[{place}]", 'must be {"type": "text", "text": …}', part)
        parts.append(part["text"])
    return "".join(parts)


def _prompts(value: Any) -> list[str | list[int]]:
    several: list[Any] = value if isinstance(value, list) and not _is_tokens(value) else [value]
    if not several or not all(isinstance(each, str) or _is_tokens(each) for each in several):
        raise wrong("prompt", "must be a text, a list of texts, or tokens", value)
    if len(several) > MOST_CHOICES:
        raise wrong("prompt", f"must be at most {MOST_CHOICES} texts", value)
    return several


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int and token >= 0 for token in value)


def _stops(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise wrong("stop", "must be a text, or a list of texts, none of them empty", value)
    if len(texts) > _MOST_STOPS:
        raise wrong("stop", f"must be at most {_MOST_STOPS} texts", value)
    return tuple(texts)


def _template_args(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise wrong("chat_template_kwargs", "must be an object", value)
    return dict(value or {})
