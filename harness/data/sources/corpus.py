"""Plain-text books to lines of text: paragraphs of prose in chunks, an even sample of them up to a budget of tokens.

Knows files and settings; how a book is read and chunked is in data/books/.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.config.schema import Count, Seed, Text
from harness.data.books.book import read_book
from harness.data.books.chunks import Chunk, Counted, CountTokens, even_sample, packed, parted, passages
from harness.data.books.pieces import Heading, Paragraph, Why, count_han, count_words
from harness.data.cleaning import read_any
from harness.data.kinds import Kind
from harness.data.sources.files import Wanted
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError

_FILES = Wanted(suffixes=(".txt", ".text", ".md", ".rst"), what="a text file, or a folder of them")
_WORD_OR_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]{1,6}|[^\w\s]")


@checked_dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`min_…` of a paragraph in words or Chinese characters, and of a chunk in tokens. `tokens`: of all; null: all."""

    min_words: Annotated[int, Field(ge=0)]
    min_characters: Annotated[int, Field(ge=0)]
    min_tokens: Annotated[int, Field(ge=0)]
    max_tokens: Count
    tokens: Count | None
    sample_seed: Seed
    group: Literal["passage", "chapter", "work"]
    passage_tokens: Count
    sections: list[Text]


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """Raises: HarnessError when there is nothing to read, or the range of tokens has none."""
    if settings.min_tokens > settings.max_tokens:
        raise SettingError(
            "source.min_tokens",
            f"source.min_tokens must be at most source.max_tokens={settings.max_tokens}, but got {settings.min_tokens}",
        )
    files = _FILES.files(path, tools.say)
    with _Store() as store:
        chunker = _Chunker(settings, tools, store)
        for file in files:
            yield from chunker.read(file, file.relative_to(path).as_posix() if path.is_dir() else file.name)
        chunker.tell()
        yield from _sampled(store, settings)


def estimated_tokens(text: str) -> int:
    """Without a tokenizer: one for a Chinese character, a mark, and each 6 letters of a word begun."""
    return sum(1 for _ in _WORD_OR_HAN.finditer(text))


def _sampled(store: "_Store", settings: Settings) -> Iterator[Found | Rejected]:
    kept = store.kept
    budget = settings.tokens
    chosen = set(
        range(len(kept))
        if budget is None
        else even_sample([each.tokens for each in kept], budget, settings.sample_seed)
    )
    for at, each in enumerate(kept):
        if at in chosen:
            yield Found(line={"text": store.text(each)}, origin=each.origin, group=each.group)
        else:
            reason = f"not in the sample that fills source.tokens={budget}"
            yield Rejected.of(store.text(each), origin=each.origin, kind=Kind.UNWANTED, reason=reason)


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A chunk in the store. `start`, `size`: its bytes."""

    origin: str
    group: str
    tokens: int
    start: int
    size: int


class _Store:
    """The texts of chunks on disk until it is known which of them fill the budget."""

    def __init__(self) -> None:
        self.kept: list[_Kept] = []
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._end = 0

    def __enter__(self) -> "_Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, chunk: Chunk, *, origin: str, group: str) -> None:
        data = chunk.text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        self.kept.append(_Kept(origin=origin, group=group, tokens=chunk.tokens, start=self._end, size=len(data)))
        self._end += len(data)

    def text(self, kept: _Kept) -> str:
        self._file.seek(kept.start)
        return self._file.read(kept.size).decode("utf-8", "surrogatepass")


class _Chunker:
    """Books to chunks in the store, chapter by chapter; what is left out is given on."""

    def __init__(self, settings: Settings, tools: Tools, store: _Store) -> None:
        self._settings, self._tools, self._store = settings, tools, store
        self._count: CountTokens = tools.count_tokens or estimated_tokens
        self._left: Counter[str] = Counter()
        self._parted = self._parts = 0

    def tell(self) -> None:
        """What was left out and parted, and whether tokens were only estimated."""
        if self._left:
            counts = ", ".join(f"{count} × {why}" for why, count in self._left.most_common())
            self._tools.say(f"no prose for a chunk, to be checked in rejected.jsonl: {counts}")
        if self._tools.count_tokens is None:
            self._tools.say("tokens are estimated, since model.path=null names no tokenizer")
        if self._parted:
            most = self._settings.max_tokens
            self._tools.say(
                f"{self._parted} paragraphs of more than source.max_tokens={most} tokens were parted at sentence ends "
                f"into {self._parts}"
            )

    def read(self, file: Path, name: str) -> Iterator[Rejected]:
        try:
            text = read_any(file)
        except HarnessError as error:
            yield Rejected.of("", origin=str(file), kind=Kind.UNREADABLE, reason=str(error))
            return
        chapter: list[Counted] = []
        number = 0
        for piece in read_book(text, self._settings.sections):
            if isinstance(piece, Paragraph):
                if reason := self._too_short(piece.text):
                    yield self._out(file, piece.number, piece.text, "short paragraph", reason)
                else:
                    chapter.append(self._counted(piece))
                continue
            if isinstance(piece, Heading) or piece.why is Why.LICENCE:
                yield from self._keep(chapter, file, f"{name} {number}")
                chapter.clear()
                number += 1
            why = Why.HEADING if isinstance(piece, Heading) else piece.why
            yield self._out(file, piece.number, piece.text, why, why)
        yield from self._keep(chapter, file, f"{name} {number}")

    def _counted(self, piece: Paragraph) -> Counted:
        return Counted(number=piece.number, text=piece.text, tokens=self._count(piece.text + "\n\n"))

    def _too_short(self, text: str) -> str | None:
        han = count_han(text)
        if 2 * han > len(text):
            least = self._settings.min_characters
            return f"{han} characters, fewer than source.min_characters={least}" if han < least else None
        words, least = count_words(text), self._settings.min_words
        return f"{words} words, fewer than source.min_words={least}" if words < least else None

    def _keep(self, chapter: Sequence[Counted], file: Path, name: str) -> Iterator[Rejected]:
        least, most = self._settings.min_tokens, self._settings.max_tokens
        for passage, chunk in passages(list(self._chunks(chapter)), self._settings.passage_tokens):
            if not least <= chunk.tokens <= most:
                rule = f"fewer than source.min_tokens={least}"
                if chunk.tokens > most:
                    rule = f"more than source.max_tokens={most} without a sentence's end"
                reason = f"{chunk.tokens} tokens, {rule}"
                yield self._out(file, chunk.number, chunk.text, "chunk out of range", reason)
                continue
            group = {"passage": f"{name}.{passage}", "chapter": name, "work": name.rpartition(" ")[0]}
            self._store.add(chunk, origin=f"{file}:{chunk.number}", group=group[self._settings.group])

    def _chunks(self, chapter: Sequence[Counted]) -> Iterator[Chunk]:
        """In the order of the book: runs of paragraphs that fit, between those that must be parted."""
        most, run = self._settings.max_tokens, list[Counted]()
        for paragraph in chapter:
            if paragraph.tokens <= most:
                run.append(paragraph)
                continue
            yield from packed(run, self._settings.min_tokens, most)
            run = []
            parts = parted(paragraph, most, self._count)
            self._parted += 1
            self._parts += len(parts)
            yield from parts
        yield from packed(run, self._settings.min_tokens, most)

    def _out(self, file: Path, number: int, text: str, why: str, reason: str) -> Rejected:
        self._left[why] += 1
        return Rejected.of(text, origin=f"{file}:{number}", kind=Kind.UNWANTED, reason=reason, sort=why)
