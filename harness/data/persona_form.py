"""How an input and its passage become a line: a preset of conf/prompt with both put in.

Knows templates and turns. Does not know who wrote either.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.data.turns import mark_text

CHAT = "{chat}"
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Form:
    """`template`: {theme} stands for the input; {chat} alone makes messages. `values`: what other {names} mean."""

    template: str
    system: str | None
    values: Mapping[str, str]

    @property
    def wrong(self) -> str | None:
        """Why no line can be made of it, after "must"; None where one can."""
        if self.template == CHAT:
            return None
        known = {"theme", "system", *self.values}
        places = _PLACE.findall(self.template)
        if "theme" not in places:
            return "hold {theme}, for which the input is put in"
        if unknown := sorted(set(places) - known):
            return f"hold no {{{unknown[0]}}}: there is only {', '.join(sorted(known))}, or {CHAT} alone"
        return None

    def line(self, written: str, passage: str) -> dict[str, Any]:
        if self.template == CHAT:
            system = [{"role": "system", "content": self.system}] if self.system else []
            turns = [{"role": "user", "content": written}, {"role": "assistant", "content": passage}]
            return {"messages": [*system, *turns]}
        values = {"theme": written, "system": self.system or "", **self.values}
        return {"text": _PLACE.sub(lambda place: values[place[1]], self.template) + passage}

    def tells_turns(self, written: str, passage: str) -> bool:
        """Whether training finds the passage, and it alone, to be learned; a form without markers is learned whole."""
        text = self.line(written, passage).get("text")
        if text is None:
            return True
        return mark_text(text).spans in ([(len(text) - len(passage), len(text))], [(0, len(text))])
