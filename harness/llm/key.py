"""The key of an endpoint: taken from the environment, and hidden wherever a reply or an error repeats it.

It is looked for in what a text says, not in how it is written: whatever its case, with anything but letters and
digits between its characters, escaped as URLs, JSON, HTML and mail do, as base64, base32, hexadecimal or numbers, or
backwards.
Knows nothing of endpoints.
"""

import base64
import html
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cached_property

from harness.errors import HarnessError

HIDDEN = "***"
_SECRET = 6  # letters and digits; what is shorter is a placeholder, such as local servers want, or no secret
_PLACEHOLDER = 4  # characters; below it a word of a reply would be taken for the key
_DEPTH = 3  # times that something may be escaped

# one escaped character: %73, \x73, 0x73, =73, \u0073, \u{73}, a pair of UTF-16, \163, \n, &#115; &#x73; &amp;
_ESCAPED = re.compile(
    r"(?:%|\\+x|0x|=)(?P<byte>[0-9a-f]{2})"
    r"|\\+u(?P<high>d[89ab][0-9a-f]{2})\\+u(?P<low>d[c-f][0-9a-f]{2})"
    r"|\\+u(?P<four>[0-9a-f]{4})|\\+u\{0*(?P<braced>[0-9a-f]{1,6})\}"
    r"|\\+(?P<octal>[0-3][0-7]{2})|\\+(?P<blank>[bfnrtv])"
    r"|(?P<html>&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});)",
    re.IGNORECASE,
)

# a character with the place in the original text that it stands for
_Told = tuple[str, int, int]


class Key:
    """`value`: sent to the endpoint and nowhere else; None where it wants none."""

    def __init__(self, value: str | None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Key()"

    def hide(self, text: str) -> str:
        """The text, with *** for all that stands for the key."""
        if self.value is None:
            return text
        if len(self.value) >= _PLACEHOLDER:
            text = self._alone.sub(HIDDEN, text)
        if not self._needles:
            return text
        told: list[_Told] = [(each, at, at + 1) for at, each in enumerate(text)]
        spans = list(self._found(told))
        for _ in range(_DEPTH):
            further = _unescaped(told)
            if len(further) == len(told):
                break
            told = further
            spans += self._found(told)
        return _without(text, spans)

    @cached_property
    def _alone(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![^\W_]){re.escape(self.value or '')}(?![^\W_])")

    @cached_property
    def _needles(self) -> list[str]:
        """What stands for the key, in letters and digits alone."""
        key = self.value or ""
        if len(_bare(key)) < _SECRET:
            return []
        data = key.encode()
        needles = [key, key[::-1], data.hex(), "".join(map(str, data)), "".join(f"{byte:08b}" for byte in data)]
        needles.append(base64.b32encode(data).decode())
        needles += [_base64_at(data, offset) for offset in range(3)]
        return sorted({_bare(each) for each in needles}, key=len)

    def _found(self, told: list[_Told]) -> Iterator[tuple[int, int]]:
        """The places [begin, end) in the original text."""
        kept = [(low, begin, end) for each, begin, end in told for low in _bare(each)]
        bare = "".join(low for low, _, _ in kept)
        for needle in self._needles:
            at = bare.find(needle)
            while at >= 0:
                yield kept[at][1], kept[at + len(needle) - 1][2]
                at = bare.find(needle, at + 1)


def read_key(variable: str | None, *, host: str, needed: bool, setting: str) -> Key:
    """The key in an environment variable. `setting`: the one that names it.

    Raises:
        HarnessError: when it is needed and not there, or cannot be sent.
    """
    if variable is None:
        return Key(None)
    value = os.environ.get(variable, "").strip()
    if not value and needed:
        raise HarnessError(f"{host} needs a key in the environment variable {variable} ({setting}); export it")
    if not value.isascii() or not value.isprintable():
        raise HarnessError(f"the key in {variable} must be of ASCII letters, digits and marks; export it again")
    return Key(value or None)


def _bare(text: str) -> str:
    """Letters and digits alone, whatever their case, width and style."""
    if text.isascii():
        return "".join(each for each in text.lower() if each.isalnum())
    return "".join(each for each in unicodedata.normalize("NFKC", text).casefold() if each.isalnum())


def _base64_at(data: bytes, offset: int) -> str:
    """The characters of base64 that hang on the data alone, where it begins `offset` bytes after a group of three."""
    encoded = base64.urlsafe_b64encode(bytes(offset) + data).decode()
    begin = -(-offset * 8 // 6)
    return encoded[begin : (offset + len(data)) * 8 // 6]


def _unescaped(told: list[_Told]) -> list[_Told]:
    """One layer of escapes read."""
    text = "".join(each for each, _, _ in told)
    read: list[_Told] = []
    done = 0
    for match in _ESCAPED.finditer(text):
        said = _character(match)
        read += told[done : match.start()]
        read += [(said[0], told[match.start()][1], told[match.end() - 1][2])] if said else []
        done = match.end()
    return read + told[done:]


def _character(match: re.Match[str]) -> str:
    """What an escape stands for; nothing for what is none."""
    if match["html"]:
        return html.unescape(match["html"])
    if match["blank"]:
        return " "
    if match["octal"]:
        return chr(int(match["octal"], 8))
    if match["high"]:
        return chr(0x10000 + ((int(match["high"], 16) - 0xD800) << 10) + int(match["low"], 16) - 0xDC00)
    number = int(match["byte"] or match["four"] or match["braced"], 16)
    return chr(number) if number <= 0x10FFFF else ""


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    parts, done = [], 0
    for begin, end in sorted(spans):
        if begin >= done:
            parts += [text[done:begin], HIDDEN]
        done = max(done, end)
    return "".join([*parts, text[done:]])
