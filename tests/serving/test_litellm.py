"""LiteLLM's client, where it is installed: it is large, so that `pip install litellm` is left to who wants to see."""

import os
import warnings
from typing import Any

import pytest

from tests.serving.served import Served, chat

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches one
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    litellm: Any = pytest.importorskip("litellm")

pytestmark = pytest.mark.filterwarnings("ignore")


def test_litellm_gets_the_same_texts_and_tells_refusals_apart(running: Served) -> None:
    ask: dict[str, Any] = {
        "api_base": f"{running.url}/v1",
        "api_key": "none",
        "messages": chat("河"),
        "max_tokens": 8,
        "seed": 1,
        "user": "ada",
    }
    whole = litellm.completion(model="openai/ode", **ask).choices[0].message.content
    pieces = litellm.completion(model="openai/ode", stream=True, **ask)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole
    asked = {"model": "ode", "messages": chat("河"), "max_tokens": 8, "seed": 1}
    assert running.client().chat.completions.create(**asked).choices[0].message.content == whole  # type: ignore[call-overload]
    with pytest.raises(litellm.NotFoundError, match="there is no model lost"):
        litellm.completion(model="openai/lost", **ask)
    with pytest.raises(litellm.BadRequestError, match="tools is not supported"):
        litellm.completion(model="openai/ode", tools=[{"type": "function", "function": {"name": "f"}}], **ask)
