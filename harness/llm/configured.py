"""From settings to an endpoint and its budget: the same for whoever asks a model. Knows nothing of what is asked."""

from dataclasses import replace

from harness.config.schema import EndpointConfig
from harness.llm.endpoint import Endpoint
from harness.llm.serve import SERVED
from harness.llm.spending import Limits


def endpoint_of(config: EndpointConfig, *, settings: str, served_at: str | None = None) -> Endpoint:
    """`settings`: the group that errors name; `served_at`: the address of the server that was started for it."""
    assert config.model is not None, "who asks has checked it"
    if served_at is None:
        found = other_endpoint(config, config.model, config.base_url, config.key_env, settings=settings)
    else:
        found = _endpoint(config, SERVED, served_at, None, f"{config.model} (served here)", settings)
    return replace(found, template_args=config.template_args)


def other_endpoint(
    config: EndpointConfig, model: str, base_url: str | None, key_env: str | None, *, settings: str
) -> Endpoint:
    """Of another model, asked in the same way."""
    name = model if base_url is None else f"{model} at {base_url}"
    return _endpoint(config, model, base_url, key_env, name, settings)


def limits_of(config: EndpointConfig, *, settings: str) -> Limits:
    return Limits(
        calls=config.max_calls,
        tokens=config.max_tokens,
        cost=config.max_cost,
        price_in=config.price_in,
        price_out=config.price_out,
        settings=settings,
    )


def _endpoint(
    config: EndpointConfig, model: str, base_url: str | None, key_env: str | None, name: str, settings: str
) -> Endpoint:
    return Endpoint(
        base_url=base_url,
        model=model,
        name=name,
        key_env=key_env,
        timeout_seconds=config.timeout_seconds,
        retries=config.retries,
        concurrency=config.concurrency,
        temperature=config.temperature,
        max_tokens=config.reply_tokens,
        settings=settings,
    )
