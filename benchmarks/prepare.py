"""python -m benchmarks.prepare: how long 100 MB of conversations or a book of 20 MB takes to prepare, and the memory.

The aim: a minute and 1 GB on two cores for each. The rows are made up of a seed, each another, of 200 to 4,000
characters; so is the book, with chapters, pages, running heads, footnotes and verse. Each in a process of its own, so
that the peaks are told apart: python -m benchmarks.prepare corpus, the other words as overrides.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

_BYTES = {"chat": 100_000_000, "corpus": 20_000_000}
_WORDS = 20_000
_AIM_SECONDS, _AIM_GB = 60, 1.0


def main() -> None:
    """The kind of source is the first word: chat, if none is given."""
    kind, overrides = (sys.argv[1], sys.argv[2:]) if sys.argv[1:2] == ["corpus"] else ("chat", sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / ("book.txt" if kind == "corpus" else "chats.jsonl")
        count = (_write_book if kind == "corpus" else _write)(source)
        command = [sys.executable, "-m", "harness.prepare", f"source={kind}", f"source.path={source}"]
        begun = time.monotonic()
        subprocess.run([*command, f"data.path={folder}/out", *overrides], check=True, env=os.environ)
        seconds = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    size = f"{count} {'paragraphs' if kind == 'corpus' else 'rows'}, {_BYTES[kind] / 1e6:.0f} MB"
    busy = used.ru_utime + used.ru_stime
    print(f"{size}: {seconds:.0f} s (aim {_AIM_SECONDS}), {busy:.0f} s of a core, {peak:.2f} GB (aim {_AIM_GB:g})")


def _write_book(source: Path) -> int:
    """A plain book, wrapped at 70 columns; returns how many paragraphs."""
    chance = random.Random(0)
    words = _vocabulary(chance)
    written = count = page = 0
    with source.open("w", encoding="utf-8") as file:
        while written < _BYTES["corpus"]:
            if count % 30 == 0:
                written += file.write(
                    f"CHAPTER {count // 30 + 1}\n\n{' '.join(chance.choices(words, k=3)).upper()}\n\n"
                )
            sentences = [" ".join(chance.choices(words, k=chance.randint(8, 30))) for _ in range(chance.randint(2, 9))]
            lines = textwrap.wrap(" ".join(f"{each.capitalize()}." for each in sentences), 70)
            if count % 3 == 0:
                page += 1
                lines[2:2] = ["", f"[{page % 900 + 1}] {sentences[0][:60]}", "", str(page), "", "THE BOOK OF WORDS", ""]
            if count % 40 == 0:
                lines += ["", *(f"    {each[: chance.randint(15, 45)]}" for each in sentences)]
            written += file.write("\n".join(lines) + "\n\n")
            count += 1
    return count


def _write(source: Path) -> int:
    """Rows in turn as messages, ShareGPT and Alpaca; returns how many."""
    written = count = 0
    with source.open("w", encoding="utf-8") as file:
        for row in _rows(random.Random(0)):
            written += file.write(json.dumps(row) + "\n")
            count += 1
            if written >= _BYTES["chat"]:
                return count
    raise AssertionError("there is no end of rows")


def _vocabulary(chance: random.Random) -> list[str]:
    return ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(_WORDS)]


def _rows(chance: random.Random) -> Iterator[dict[str, object]]:
    words = _vocabulary(chance)

    def said(least: int, most: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(least, most)))

    while True:
        question, answer, more, end = said(5, 40), said(20, 300), said(5, 40), said(20, 300)
        yield {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        turns = [("human", question[::-1]), ("gpt", answer[::-1]), ("human", more), ("gpt", end)]
        yield {"conversations": [{"from": who, "value": text} for who, text in turns]}
        yield {"instruction": more[::-1], "input": "", "output": end[::-1], "label": chance.choice("ab")}


if __name__ == "__main__":
    main()
