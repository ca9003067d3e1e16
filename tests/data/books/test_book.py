"""Books in the shapes that people have give the author's paragraphs, whole; all else is listed with its place."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.paths import CONF, ROOT
from harness.data.books.book import read_book
from harness.data.books.pieces import Heading, Left, Paragraph, Why
from harness.data.cleaning import read_any

_BOOKS = ROOT / "tests" / "fixtures" / "books"
_SECTIONS = yaml.safe_load((CONF / "source" / "corpus.yaml").read_text("utf-8"))["sections"]
_LONG = 60


class Book:
    """What a text is read as."""

    def __init__(self, text: str, sections: Sequence[str] = _SECTIONS) -> None:
        pieces = list(read_book(text, sections))
        self.paragraphs = [piece.text for piece in pieces if isinstance(piece, Paragraph)]
        self.headings = [piece.text for piece in pieces if isinstance(piece, Heading)]
        self.left = [(piece.why, piece.number, piece.text) for piece in pieces if isinstance(piece, Left)]

    @property
    def long(self) -> list[str]:
        return [text for text in self.paragraphs if len(text) > _LONG]

    def places(self, why: Why) -> list[int]:
        return [number for each, number, _ in self.left if each is why]


@pytest.fixture(scope="module")
def books() -> dict[str, Book]:
    return {file.stem: Book(read_any(file)) for file in _BOOKS.glob("*.txt")}


def test_the_same_tale_in_each_shape_gives_the_same_paragraphs(books: dict[str, Book]) -> None:
    told = books["wikisource"].long
    assert len(told) == 8 and told[0].startswith("The ferry left") and told[-1].endswith("until I was jostled on.")
    assert books["gutenberg"].long == [text.replace("wheelhouse", "wheel-house") for text in told]
    assert books["plain"].long[:8] == books["gutenberg"].long
    assert len(books["plain"].paragraphs) == 24


def test_chinese_lines_are_paragraphs_and_their_notes_and_contents_are_none(books: dict[str, Book]) -> None:
    book = books["chinese"]
    assert [text[:6] for text in book.long] == [
        "渡船每天早上",
        "姑母用一块布",
        "到了河心，老",
        "磨坊主人是个",
        "等我再过这条",
    ]
    assert "的信，布上有" in book.long[1]
    assert book.headings == ["第一章\u3000绳子", "第二章\u3000水车", "第三章\u3000桥"]
    assert book.places(Why.FRONT) == [1, 2, 3, 4, 5, 6, 7] and book.places(Why.SECTION) == [8, 9]
    assert book.places(Why.NOTE) == [14] and book.places(Why.MARK) == [13]


def test_what_project_gutenberg_adds_is_listed_with_its_lines(books: dict[str, Book]) -> None:
    book = books["gutenberg"]
    first, last = [text for why, _, text in book.left if why is Why.LICENCE]
    assert first.startswith("The Project Gutenberg eBook") and first.endswith("THE FERRY ***")
    assert last.startswith("*** END OF") and last.endswith("so anyone can copy them.")
    assert [text for why, _, text in book.left if why is Why.FRONT][-1].strip().startswith("I.   The Rope")
    assert book.headings == [
        "J. P.",
        "CHAPTER I",
        "THE ROPE",
        "CHAPTER II",
        "THE WHEEL-HOUSE",
        "CHAPTER III",
        "THE BRIDGE",
    ]
    assert not any("wish of the author" in text for text in book.paragraphs)


def test_a_preface_stays_where_it_is_wanted() -> None:
    book = Book(read_any(_BOOKS / "gutenberg.txt"), [name for name in _SECTIONS if name != "preface"])
    assert book.long[0].startswith("It was the wish of the author that this little book")
    assert book.headings[0] == "PREFACE"


def test_pages_notes_and_verse_in_the_middle_of_the_text_are_left_out(books: dict[str, Book]) -> None:
    book = books["gutenberg"]
    verse = [text.split("\n")[0].strip() for why, _, text in book.left if why is Why.VERSE]
    assert verse == ["O the river is deep and the river is wide,", "So pull, my boy, and ask me not"]
    assert [text for why, _, text in book.left if why is Why.PAGE] == ["[Pg 2]"]
    assert [text[-8:] for why, _, text in book.left if why is Why.MARK] == ["iller[1]", "om{Pg 3}"]
    assert len(book.places(Why.NOTE)) == len(book.places(Why.ORNAMENT)) == 1
    plain = books["plain"]
    assert [text for why, _, text in plain.left if why is Why.PAGE] == ["11", "12", "13"]
    assert [text.split()[0] for why, _, text in plain.left if why is Why.HEAD] == ["THE", "8", "THE", "10", "14"]
    assert [text.strip()[:4] for why, _, text in plain.left if why is Why.NOTE] == ["* So"]


def test_wikisources_notices_and_the_exporters_line_are_no_text(books: dict[str, Book]) -> None:
    first, last = [text for why, _, text in books["wikisource"].left if why is Why.LICENCE]
    assert first.endswith("Exported from Wikisource on November 3, 2026")
    assert last.startswith("This work is in the public domain") and "built by volunteers" in last


def test_several_books_in_one_file_are_all_read() -> None:
    one = read_any(_BOOKS / "gutenberg.txt")
    book = Book(one + one + one)
    assert len(book.long) == 24 and len(book.places(Why.LICENCE)) == 4
    assert book.headings.count("CHAPTER I") == 3


def test_stars_around_a_word_and_letters_in_brackets_are_no_marks_of_notes() -> None:
    text = "The *first* word of argv[0], and an [X] in a box, and a mark* here.\n\n* A note on that."
    far = "\n" * 100 + "And a char* that no note is about."
    book = Book(text + far)
    assert book.paragraphs == ["The *first* word of argv[0], and an [X] in a box, and a mark here.", far.strip()]
    assert Book("A mark* here.\n\n** What is all in stars **").paragraphs == [
        "A mark* here.",
        "** What is all in stars **",
    ]
    assert len(book.places(Why.NOTE)) == len(book.places(Why.MARK)) == 1


def test_titles_that_come_again_between_sentences_are_headings_and_not_running_heads() -> None:
    text = "\n\n".join(f"NOTES\n\nIt was written down in the year {year}, and not before." for year in range(6))
    assert Book(text, []).headings == ["NOTES"] * 6
    torn = "\n\n".join(f"THE FERRY\n\nwritten down in the year {year}, and not before it was" for year in range(6))
    assert len(Book(torn).places(Why.HEAD)) == 6 and len(Book(torn).paragraphs) == 1


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        (
            "He was born in the spring of the year 1851 and he\ndied in\n1923.",
            ["He was born in the spring of the year 1851 and he died in 1923."],
        ),
        ("an ex-\nample of the well-\nknown, and well-known", ["an example of the well-known, and well-known"]),
        ("she said--\nand went—\naway", ["she said--and went—away"]),
        ("他说\n去了 a\nb", ["他说去了 a b"]),
        ("an x* of m² and ① here", ["an x* of m² and ① here"]),
        ("for __init__ an _italic word_ is", ["for __init__ an italic word is"]),
        ("", []),
        ("\n\n", []),
    ],
)
def test_lines_are_joined_as_they_were_before_they_were_wrapped(text: str, paragraphs: list[str]) -> None:
    assert Book(text).paragraphs == paragraphs


@pytest.mark.parametrize(
    "heading",
    [
        "CHAPTER I",
        "Chapter 12. In which nothing, again, happens",
        "Book the Second",
        "XIV.",
        "第十二回　风雪",
        "## Two",
        "The Bridge",
    ],
)
def test_headings_are_told_from_prose(heading: str) -> None:
    prose = "It rained all day, and the day after that it rained again, and then the sun came out."
    assert Book(f"{prose}\n\n{heading}\n\n{prose}").headings == [heading]
    assert Book(f"{prose}\n\nChapter 12 was never written, he said, and nor was it read.\n\n{prose}").headings == []


def test_a_licence_is_read_whole() -> None:
    """GPL-3 as it lies beside a package: seventeen sections, items of lists apart, no sentence lost."""
    (file,) = Path(pytest.__file__).parents[1].glob("krippendorff-*.dist-info/licenses/LICENSE.txt")
    text = file.read_text("utf-8")
    book = Book(text)
    numbered = [heading for heading in book.headings if heading[0].isdigit()]
    assert [int(heading.split(".")[0]) for heading in numbered] == list(range(18))
    assert any(text.startswith("a) The work must carry") for text in book.paragraphs)
    given = [*book.paragraphs, *book.headings, *(text for _, _, text in book.left)]
    assert sorted(" ".join(given).split()) == sorted(text.split())


_LINES = [
    "", "", "{0} and {1} went on with it until the evening of that long day in the", "{0} {1}.",
    "    {0} {1}", "12", "13", "CHAPTER {0}", "[1] {0}",
    "* {0}", "{0}*", "THE {0}    14", "{0} ... 3", "[Illustration: {0}", "{0}]", "PREFACE",
    "第一章 {0}", "\u3000\u3000{0}{1}。", "* * *", "{{{{{0}", "*** START OF THE PROJECT GUTENBERG EBOOK {0} ***",
    "*** END OF THE PROJECT GUTENBERG EBOOK {0} ***", "This work is in the public domain in {0}", "\f{0} {1}", "- {0},",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_LINES), max_size=60))
def test_every_word_of_a_book_comes_out_once(lines: list[str]) -> None:
    text = "\n".join(line.format(f"word{2 * at}x", f"word{2 * at + 1}x") for at, line in enumerate(lines))
    book = Book(text)
    listed = [piece for why, _, piece in book.left if why is not Why.MARK]
    words = re.findall(r"word\d+x", " ".join([*book.paragraphs, *book.headings, *listed]))
    assert sorted(words) == sorted(re.findall(r"word\d+x", text))
