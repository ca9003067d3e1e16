"""Where a model is asked, and how. Knows nothing of what is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.errors import HarnessError
from harness.llm.key import Key, read_key

OPENAI = "api.openai.com"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`base_url`: None for OpenAI itself. `key_env`: the environment variable with the key; None where none is needed.

    `timeout_seconds`: for one try, from the question to the reply's last byte. `temperature`: None leaves it to the
    endpoint. `template_args`: for the model's chat template, asked for as chat_template_kwargs. `name`: what the model
    is called in records, and in the cache. `settings`: the group that errors name.
    """

    base_url: str | None
    model: str
    name: str
    key_env: str | None
    timeout_seconds: float
    retries: int
    concurrency: int
    temperature: float | None
    max_tokens: int
    template_args: Mapping[str, Any] | None = None
    settings: str = "judge"

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or "?" if self.base_url else OPENAI

    @property
    def is_local(self) -> bool:
        return self.host in ("localhost", "127.0.0.1", "::1")

    def key(self) -> Key:
        """From the environment alone.

        Raises:
            HarnessError: when it is not there, or the address holds one.
        """
        address = urlsplit(self.base_url or "")
        key = read_key(self.key_env, host=self.host, needed=not self.is_local, setting=f"{self.settings}.key_env")
        if address.username or address.password or key.hide(self.base_url or "") != (self.base_url or ""):
            raise HarnessError(
                f"{self.settings}.base_url must not hold a key; put it into an environment variable "
                f"({self.settings}.key_env)"
            )
        return key
