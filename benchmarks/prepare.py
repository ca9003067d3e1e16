"""python -m benchmarks.prepare: how long 100 MB of conversations take to prepare, and in how much memory;
with corpus as the first word, a book of 20 MB.

The aim: a minute and 1 GB on two cores for each. The book has words of the shipped English poems in chapters and pages,
with running heads, footnotes and verse. The rows are lines of the shipped poems in a seeded order, each row another, of
100 to 3,000 characters; builtin:tiny counts their tokens, about one a character.
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

from harness.config.paths import ROOT

_BYTES, _BOOK_BYTES = 100_000_000, 20_000_000
_AIM_SECONDS, _AIM_GB = 60, 1.0


def main() -> None:
    is_book = sys.argv[1:2] == ["corpus"]
    kind, name, overrides = ("corpus", "book.txt", sys.argv[2:]) if is_book else ("chat", "chats.jsonl", sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / name
        count = _write_book(source) if is_book else _write(source)
        command = [sys.executable, "-m", "harness.prepare", f"source={kind}", f"source.path={source}", "model=tiny"]
        megabytes = source.stat().st_size / 1e6
        begun = time.monotonic()
        subprocess.run([*command, f"data.path={folder}/out", *overrides], check=True, env=os.environ)
        seconds = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    read = f"{count} {'paragraphs' if is_book else 'rows'}, {megabytes:.0f} MB"
    print(f"{read}: {seconds:.0f} s (aim {_AIM_SECONDS}), {peak:.2f} GB (aim {_AIM_GB:g})")
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time on {os.cpu_count()} cores")


def _write_book(source: Path) -> int:
    """A plain book, wrapped at 70 columns; returns how many paragraphs."""
    chance = random.Random(0)
    poems = json.loads((ROOT / "data" / "poems-en.json").read_text("utf-8"))
    words = sorted({word.strip(".,;:!?").lower() for poem in poems for word in poem["body"].split()} - {""})
    written = count = page = 0
    with source.open("w", encoding="utf-8") as file:
        while written < _BOOK_BYTES:
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
    with source.open("wb") as file:
        for row in _rows(random.Random(0)):
            written += file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            count += 1
            if written >= _BYTES:
                return count
    raise AssertionError("there is no end of rows")


def _rows(chance: random.Random) -> Iterator[dict[str, object]]:
    poems = json.loads((ROOT / "data" / "poems.json").read_text("utf-8"))
    words = [line for poem in poems for line in poem["body"].split("\n") if line]

    def said(least: int, most: int) -> str:
        return "，".join(chance.choices(words, k=chance.randint(least, most)))

    while True:
        question, answer, more, end = said(2, 8), said(10, 150), said(2, 8), said(10, 150)
        yield {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        turns = [("human", question[::-1]), ("gpt", answer[::-1]), ("human", more), ("gpt", end)]
        yield {"conversations": [{"from": who, "value": text} for who, text in turns]}
        yield {"instruction": more[::-1], "input": "", "output": end[::-1], "label": chance.choice("ab")}


if __name__ == "__main__":
    main()
