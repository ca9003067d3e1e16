"""A chat template as pieces of text around what is said, worked out by asking it, and checked against it.

Turns alternate between user and assistant, after at most one system prompt, and the last is the user's: that is what a
server has to render. Knows nothing of models or of the language that templates are written in; go_template.py writes a
form down for Ollama.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.errors import HarnessError

Message = dict[str, str]
Render = Callable[[Sequence[Message]], str]

_SYSTEM, _FIRST, _ANSWER, _SECOND = "qsystemq", "qfirstq", "qanswerq", "qsecondq"


class NoFormError(HarnessError):
    """The template is more than pieces of text around the turns."""


class SystemAt(Enum):
    """Which turn a system prompt goes before."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, kw_only=True)
class ChatForm:
    """`opening`: before the first user turn where there is no system prompt, with a default one if the template has it;
    `answered`: between a user's turn and its answer; `asked`: between an answer and the next user's turn; `ending`:
    after the last user's turn, up to what is to be written. `before_system`, `after_system`: around a system prompt,
    in the place of `opening` or, `SystemAt.LAST`, right before what the last user turn says."""

    opening: str
    answered: str
    asked: str
    ending: str
    before_system: str
    after_system: str
    system_at: SystemAt

    def render(self, messages: Sequence[Message]) -> str:
        """What a server makes of the form: an optional system prompt, then turns from a user's to a user's."""
        system = messages[0]["content"] if messages[0]["role"] == "system" else None
        turns = messages[1:] if system is not None else messages
        told = "" if system is None else self.before_system + system + self.after_system
        text = told if told and self.system_at is SystemAt.FIRST else self.opening
        for number, turn in enumerate(turns, start=1):
            last = number == len(turns)
            if turn["role"] == "user":
                text += told if last and self.system_at is SystemAt.LAST else ""
                text += turn["content"] + (self.ending if last else self.answered)
            else:
                text += turn["content"] + ("" if last else self.asked)
        return text


def form_of(render: Render) -> ChatForm:
    """The form that renders as `render` does: a chat template with the prompt for an answer at its end.

    Raises:
        NoFormError: for a template that has none, saying where it differs.
    """
    opening, ending = _between(render, [_user(_FIRST)], _FIRST)
    talk = [_user(_FIRST), _assistant(_ANSWER), _user(_SECOND)]
    _, answered, asked, _ = _between(render, talk, _FIRST, _ANSWER, _SECOND)
    before, after, _ = _between(render, [_system(_SYSTEM), _user(_FIRST)], _SYSTEM, _FIRST)
    system_at = SystemAt.FIRST
    told = _rendered(render, [_system(_SYSTEM), *talk])
    if _FIRST in told and told.index(_FIRST) < told.find(_SYSTEM):
        system_at = SystemAt.LAST
        if not before.startswith(opening):
            raise NoFormError("what it writes before a system prompt depends on the turns after it")
        before = before[len(opening) :]
    form = ChatForm(
        opening=opening,
        answered=answered,
        asked=asked,
        ending=ending,
        before_system=before,
        after_system=after,
        system_at=system_at,
    )
    check(form, render)
    return form


def check(form: ChatForm, render: Render) -> None:
    """That conversations of several kinds come out byte for byte.

    Raises:
        NoFormError: naming the first that does not.
    """
    for turns, system in _CONVERSATIONS:
        messages = [_system(system)] if system else []
        messages += [(_user, _assistant)[number % 2](text) for number, text in enumerate(turns)]
        wanted, found = _rendered(render, messages), form.render(messages)
        if found != wanted:
            of = f"{len(turns)} turns {'after a system prompt' if system else 'without a system prompt'}"
            raise NoFormError(f"it renders {of} otherwise than as pieces around the turns: {_apart(wanted, found)}")


def trims(form: ChatForm, render: Render) -> bool:
    """Whether the template takes white space from the ends of what is said, which a form cannot."""
    messages = [_user(f" {_FIRST} ")]
    return _rendered(render, messages) != form.render(messages)


_CONVERSATIONS: list[tuple[list[str], str]] = [
    (["Write about a river."], ""),
    (["河"], "你是一位诗人。"),
    (["Two lines:\n\n- one\n- two", "They are\nhere.", "Again?"], ""),
    (["What is {{ this }}?", 'A "template" in {% braces %} & <marks>.', "And `that`?"], "Answer in 'one' line.\nDo."),
    (["a", "b", "c", "d", "e"], "s"),
    (["a", "b", "c", "d", "e", "f", "g"], ""),
    (["same", "same", "same"], "same"),
]


def _between(render: Render, messages: Sequence[Message], *said: str) -> list[str]:
    """The text before, between and after what is said, which must stand in it once each and in that order."""
    text = _rendered(render, messages)
    pieces = []
    for word in said:
        before, found, text = text.partition(word)
        if not found or word in text:
            raise NoFormError("it leaves out, repeats or moves what is said")
        pieces.append(before)
    return [*pieces, text]


def _rendered(render: Render, messages: Sequence[Message]) -> str:
    try:
        return render(messages)
    except HarnessError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise NoFormError(f"it refuses a conversation of {roles}: {error}") from error


def _apart(wanted: str, found: str) -> str:
    """Where two texts part, in a few characters of each."""
    at = next((i for i, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b), min(len(wanted), len(found)))
    start = max(at - 12, 0)
    return f"{wanted[start : at + 24]!r} is {found[start : at + 24]!r} there"


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _system(text: str) -> Message:
    return {"role": "system", "content": text}
