"""A chat form in the language of Ollama's templates (Go's text/template), and what else a Modelfile says.

Every piece of text stands as a quoted string, so that no white space of the template itself is rendered. Knows nothing
of how a form is found.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.releasing.export.chat_form import ChatForm, SystemAt

_LAST = "eq (len (slice $.Messages $i)) 1"
_NOT_LAST = "gt (len (slice $.Messages $i)) 1"


def of_chat(form: ChatForm) -> str:
    """Over .Messages, of which a system prompt is the first."""
    told = _text(form.before_system) + "{{ $.System }}" + _text(form.after_system)
    if form.system_at is SystemAt.FIRST:
        system, opening, before_last = told, _if("eq $i 0", _text(form.opening)), ""
    else:
        system, opening = "", _text(form.opening)
        before_last = _if(f"and $.System ({_LAST})", told)
        opening = _if("or (eq $i 0) (and $.System (eq $i 1))", opening)
    ended = _either(_LAST, _text(form.ending), _text(form.answered))
    return (
        '{{ range $i, $m := .Messages }}{{ if eq $m.Role "system" }}'
        + _if("eq $i 0", system)
        + '{{ else if eq $m.Role "user" }}'
        + opening
        + before_last
        + "{{ $m.Content }}"
        + ended
        + '{{ else if eq $m.Role "assistant" }}{{ $m.Content }}'
        + _if(_NOT_LAST, _text(form.asked))
        + "{{ end }}{{ end }}"
    )


def of_one_turn(before_system: str, before_prompt: str, after_prompt: str, *, system: bool) -> str:
    """Text around a system prompt, where it has a place, and what is asked: as a run asks that has no conversations."""
    told = _text(before_system) + ("{{ .System }}" if system else "") + _text(before_prompt)
    return told + "{{ .Prompt }}" + _text(after_prompt) + "{{ .Response }}"


RAW = "{{ .Prompt }}"


@dataclass(frozen=True, kw_only=True)
class Modelfile:
    """`origin`: what stands behind FROM; `parameters`: names with one value each, beside the stop marks."""

    origin: str
    template: str
    system: str | None
    stop: Sequence[str]
    parameters: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def text(self) -> str:
        lines = [f"# {' '.join(note.split())}" for note in self.notes]
        lines += [f"FROM {self.origin}", f'TEMPLATE """{self.template}"""']
        if self.system:
            lines.append(f"SYSTEM {_block(self.system)}")
        lines += [f"PARAMETER stop {_quoted(mark)}" for mark in self.stop]
        lines += [f"PARAMETER {name} {value:g}" for name, value in self.parameters.items()]
        return "\n".join(lines) + "\n"


def can_hold(system: str | None) -> bool:
    """Whether a Modelfile can hold the system prompt: nothing is escaped between three quotes."""
    return system is None or ('"""' not in system and not system.endswith('"') and system == system.strip())


def _block(text: str) -> str:
    return f'"""{text}"""'


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text else _block(text)


def _text(text: str) -> str:
    """JSON's strings are Go's, as long as nothing is written with surrogates."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""


def _if(condition: str, text: str) -> str:
    return f"{{{{ if {condition} }}}}{text}{{{{ end }}}}" if text else ""


def _either(condition: str, text: str, other: str) -> str:
    return f"{{{{ if {condition} }}}}{text}{{{{ else }}}}{other}{{{{ end }}}}"
