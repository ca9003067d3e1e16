"""A token by itself, as logprobs name it: its text and its bytes. Knows the tokenizer's ways of writing bytes."""

import re
from functools import lru_cache

from harness.models.tokenizer import Tokenizer

_BYTE = re.compile("<0x([0-9A-F]{2})>")
_BLANK = "\u2581"  # how SentencePiece writes a space


def _byte_of() -> dict[str, int]:
    """The printable characters in which byte-level BPE writes bytes: those that are printable in Latin-1 stand for
    themselves, the others for what follows 255."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


class TokenText:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes = _byte_of()
        self.of = lru_cache(4096)(self._token)

    def _token(self, token: int) -> tuple[str, list[int]]:
        """Its text, in which what is no whole character is U+FFFD, and its bytes."""
        written = self._tokenizer.piece(token)
        if (byte := _BYTE.fullmatch(written)) is not None:
            alone = bytes([int(byte[1], 16)])
            return alone.decode("utf-8", "replace"), list(alone)
        text = self._tokenizer.decode([token])
        if "\ufffd" in text and all(character in self._bytes for character in written):
            return text, [self._bytes[character] for character in written]
        if written.startswith(_BLANK) and not text.startswith(" "):
            text = f" {text}"  # which the decoder leaves out at the beginning of a text
        return text, list(text.encode("utf-8"))
