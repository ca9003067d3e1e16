"""One trial of a sweep, tried again by the sweep's own command: what harness.sweep resume tells that process.

Knows nothing of studies. Nothing heavy here.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from harness.console.worker_environment import TRIAL


@dataclass(frozen=True)
class OneTrial:
    """`place`: its number from 1, as people are told it."""

    sweep_id: str
    place: int

    @property
    def environment(self) -> dict[str, str]:
        return {TRIAL: f"{self.sweep_id}/{self.place}"}

    def command(self, *, tracking_uri: str | None, storage: str | None) -> str:
        """What tries it again, for people to type."""
        words = ["python", "-m", "harness.sweep", "resume", self.sweep_id, "--trial", str(self.place)]
        words += [] if tracking_uri is None else ["--tracking-uri", tracking_uri]
        return shlex.join(words + ([] if storage is None else ["--storage", storage]))


def one_trial(environment: Mapping[str, str]) -> OneTrial | None:
    """The one that this process is to try; None: all that are left."""
    if TRIAL not in environment:
        return None
    sweep_id, _, place = environment[TRIAL].partition("/")
    return OneTrial(sweep_id, int(place))
