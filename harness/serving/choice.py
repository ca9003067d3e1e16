"""One text as it is written: its steps in, what may be shown of it out. Knows no HTTP and no models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.data.thinking import Said, said_after
from harness.sampling.engine import Step
from harness.serving.incremental_text import Kind, Part, Spelling, Stops, Thoughts

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a text is shown. `prompt`: that it follows. `chat`: thoughts apart. `stream`: as it comes."""

    prompt: str
    chat: bool
    stream: bool
    stop: tuple[str, ...]


@dataclass(frozen=True)
class Delta:
    """What came of a text since the last. `tokens`: the steps that brought it. `finish_reason`: in the last one."""

    parts: list[Part]
    tokens: list[Step]
    finish_reason: str | None = None


@dataclass
class Choice:
    """`tokens`: its steps with a token. `finish_reason`: None while it is written."""

    way: Way
    decode: Decode
    tokens: list[Step] = field(default_factory=list)
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        self._spelled = self.way.stream or bool(self.way.stop)
        self._spelling, self._stops = Spelling(self.decode), Stops(self.way.stop)
        self._thoughts = Thoughts(self.way.prompt) if self.way.chat else None
        self._text = ""  # all of it that was spelled
        self._untold: list[Step] = []

    def take(self, step: Step) -> Delta | None:
        """What can be shown after this step; None: nothing more than before."""
        piece = ""
        if step.token is not None:
            self.tokens.append(step)
            self._untold.append(step)
            piece = self._spelling.add(step.token) if self._spelled else ""
        self.finish_reason = step.finish_reason
        if not self._spelled:
            return None
        shown = self._stops.add(piece)
        if self.finish_reason is not None and not self._stops.met:
            shown += self._stops.add(self._spelling.rest())
            shown += self._stops.rest()
        if self._stops.met:
            self.finish_reason = "stop"
        self._text += shown
        return self._delta(self._parts(shown)) if self.way.stream else None

    @property
    def said(self) -> Said:
        """The whole: of a chat as a sample has it, else as it was written."""
        text = (
            self._text if self._spelled else self.decode([step.token for step in self.tokens if step.token is not None])
        )
        if not self.way.chat:
            return Said("", text)
        said = said_after(self.way.prompt, text)
        return Said(said.thinking, said.answer.strip())

    def _parts(self, shown: str) -> list[Part]:
        if self._thoughts is None:
            return [Part(Kind.ANSWER, shown)] if shown else []
        parts = self._thoughts.add(shown) if shown else []
        return parts if self.finish_reason is None else [*parts, *self._thoughts.rest()]

    def _delta(self, parts: list[Part]) -> Delta | None:
        if not parts and self.finish_reason is None:
            return None
        tokens, self._untold = self._untold, []
        return Delta(parts, tokens, self.finish_reason)
