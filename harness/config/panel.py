"""Who judges: judge.model, and beside it judge.second_* or those of judge.panel. Knows nothing of how one is asked."""

import re
from dataclasses import dataclass

from harness.config.schema import JudgeConfig
from harness.errors import HarnessError

_FAMILY = re.compile(r"[^\W\d_]+")  # the first letters of a model's name: gpt, claude, qwen


@dataclass(frozen=True, kw_only=True)
class Seat:
    """One judge. `base_url`: None for OpenAI; `served`: it is the local model that a server is started with."""

    model: str
    base_url: str | None
    key_env: str | None
    family: str
    served: bool = False


def seats_of(judge: JudgeConfig) -> list[Seat]:
    """All judges, the first of them judge.model where it is given. What a member of the panel leaves out is judge's.

    Raises:
        HarnessError: for one without a model, or of the same model at the same address as another.
    """
    seats = []
    if judge.model is not None:
        seats.append(_seat(judge.model, judge.base_url, judge.key_env, served=judge.serve))
    if judge.second_model is not None:
        seats.append(_seat(judge.second_model, judge.second_base_url, judge.second_key_env))
    for number, member in enumerate(judge.panel):
        model = member.get("model", judge.model)
        if model is None:
            raise HarnessError(f"judge.panel[{number}] must have a model, or judge.model, but neither is given")
        url, key = member.get("base_url", judge.base_url), member.get("key_env", judge.key_env)
        if url is not None and not re.match("https?://", url):
            raise HarnessError(f"judge.panel[{number}].base_url must be a URL that begins with http, but got {url}")
        seats.append(_seat(model, url, key, family=member.get("family")))
    _check_distinct(seats)
    return seats


def _seat(
    model: str, base_url: str | None, key_env: str | None, *, family: str | None = None, served: bool = False
) -> Seat:
    letters = _FAMILY.search(model.rstrip("/").rsplit("/", 1)[-1])
    kin = family or (letters[0].lower() if letters else model)
    return Seat(model=model, base_url=base_url, key_env=key_env, family=kin, served=served)


def _check_distinct(seats: list[Seat]) -> None:
    asked = [(seat.model, seat.base_url, seat.served) for seat in seats]
    for number, seat in enumerate(seats):
        if asked.index(asked[number]) < number:
            at = f" at {seat.base_url}" if seat.base_url else ""
            raise HarnessError(
                f"each judge must be another, but {seat.model}{at} stands twice in judge.panel, or in it and as "
                "judge.model; leave one out (judge.repeats asks the same judge again)"
            )
