"""python -m benchmarks.prepare: how long 100 MB of conversations take to prepare, and in how much memory.

The aim: a minute and 1 GB on two cores. The rows are made up of a seed, each another, of 200 to 4,000 characters.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_BYTES = 100_000_000
_WORDS = 20_000
_AIM_SECONDS, _AIM_GB = 60, 1.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "chats.jsonl"
        count = _write(source)
        command = [sys.executable, "-m", "harness.prepare", "source=chat", f"source.path={source}"]
        begun = time.monotonic()
        subprocess.run([*command, f"data.path={folder}/out", *sys.argv[1:]], check=True, env=os.environ)
        seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"{count} rows, {_BYTES / 1e6:.0f} MB: {seconds:.0f} s (aim {_AIM_SECONDS}), {peak:.2f} GB (aim {_AIM_GB:g})")


def _write(source: Path) -> int:
    """Rows in turn as messages, ShareGPT and Alpaca; returns how many."""
    written = count = 0
    with source.open("w", encoding="utf-8") as file:
        for row in _rows(random.Random(0)):
            written += file.write(json.dumps(row) + "\n")
            count += 1
            if written >= _BYTES:
                return count
    raise AssertionError("there is no end of rows")


def _rows(chance: random.Random) -> Iterator[dict[str, object]]:
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(_WORDS)]

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
