"""One way to write the same text: encodings recognised, mojibake mended, stray markup and space taken away.

Full and half width, curly quotes and ligatures are the author's and stay. Knows nothing of rows.
"""

import html
import re
import unicodedata
from pathlib import Path

import charset_normalizer
import ftfy

from harness.errors import HarnessError

_SAMPLE_BYTES = 1 << 18
_BROKEN_LINES = 0.05  # up to this share of lines that are no UTF-8, a file is UTF-8 with broken lines
_ZEROS = 0.1
_MENDING = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=True,
    restore_byte_a0=True,
    replace_lossy_sequences=False,
    decode_inconsistent_utf8=True,
    fix_c1_controls=True,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    fix_surrogates=True,
    remove_control_chars=False,
    normalization=None,
)
_BREAK = re.compile(r"<br\s*/?>|</p>\s*<p[^<>]*>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:p|div|span|b|i|em|strong|u|font|a|center|h[1-6]|blockquote|pre)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060\u00ad"))


def clean(text: str) -> str:
    """NFC, plain line ends, no markup, no trailing space, at most one blank line."""
    text = ftfy.fix_text(text, _MENDING)
    return tidy(html.unescape(_TAG.sub("", _BREAK.sub("\n", text))))


def tidy(text: str) -> str:
    """The same for a text whose markup is meant, such as code or its documentation."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    text = text.translate(_INVISIBLE)
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def read_any(path: Path) -> str:
    """The text of a file in whatever encoding it is.

    Raises:
        HarnessError: when it cannot be read, or its encoding cannot be told.
    """
    try:
        return path.read_bytes().decode(encoding_of(path))
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}; see that it is a file you may read") from error
    except UnicodeDecodeError as error:
        raise HarnessError(
            f"{path} must be text, but byte {error.start} is no {error.encoding}; save the file as UTF-8"
        ) from error


def encoding_of(path: Path) -> str:
    """By its beginning: UTF-8, also with a few broken lines, or what charset-normalizer takes it for."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if (bare := _utf16_without_mark(sample)) is not None:
        return bare
    lines = sample.split(b"\n")
    whole = lines[:-1] if len(sample) == _SAMPLE_BYTES else lines
    broken = sum(not _is_utf8(line) for line in whole)
    if broken <= _BROKEN_LINES * len(whole):
        return "utf-8-sig"
    if _is_common_chinese(sample):
        return "gb18030"
    best = charset_normalizer.from_bytes(b"\n".join(whole)).best()
    return "utf-8-sig" if best is None else best.encoding


def _utf16_without_mark(sample: bytes) -> str | None:
    """By the zeros that line ends, spaces and Latin letters have as one of their two bytes, always the same."""
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    if high > _ZEROS * len(sample) / 2 and low < high / 20:
        return "utf-16-le"
    return "utf-16-be" if low > _ZEROS * len(sample) / 2 and high < low / 20 else None


def _is_common_chinese(sample: bytes) -> bool:
    """Whether, as GB2312, it has hardly any but the 3,755 most frequent characters: B0 to D7 lead those.

    Charset-normalizer cannot tell it of a text as short as a poem.
    """
    leads, rare, position = 0, 0, 0
    while position < len(sample) - 1:
        lead = sample[position]
        position += 2 if lead > 0x80 else 1
        leads += 0xB0 <= lead <= 0xD7
        rare += lead > 0x80 and not (0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3)
    return leads > 0 and rare <= 0.05 * (leads + rare)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
