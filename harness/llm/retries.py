"""Which failures of an endpoint are tried again, and after how long. Knows nothing of what is asked."""

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

PATIENCE_SECONDS = 120.0  # the longest that an endpoint may ask to be left alone for
_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 8.0  # between two tries, where it does not say
_PASSING = {408, 409, 429}  # and all of the server's own errors


@dataclass(frozen=True)
class Again:
    """`seconds` until the next try; None for no further one, and `why` where that has a reason of its own."""

    seconds: float | None
    why: str | None = None


def after_silence(tries: int) -> Again:
    """After so many tries that nothing came back for."""
    return Again(min(_FIRST_SECONDS * 2 ** min(tries - 1, 10), _LONGEST_SECONDS) * random.uniform(0.75, 1))


def after_status(status: int, headers: Mapping[str, str], tries: int) -> Again:
    """As the endpoint asks for in its headers, else as by its status."""
    asked = headers.get("x-should-retry")
    if asked == "false" or (asked != "true" and status not in _PASSING and status < 500):
        return Again(None)
    seconds = _asked_for(headers)
    if seconds is None or seconds <= 0:
        return after_silence(tries)
    if seconds > PATIENCE_SECONDS:
        return Again(None, f"asks to be left alone for {seconds:.0f} s, longer than {PATIENCE_SECONDS:.0f} s")
    return Again(seconds)


def _asked_for(headers: Mapping[str, str]) -> float | None:
    """Seconds, from Retry-After as a number or a date (RFC 9110), or in milliseconds as OpenAI says it."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) / unit
        except ValueError:
            continue
        return None if seconds != seconds else seconds
    try:
        return email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
