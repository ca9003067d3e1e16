"""python -m benchmarks.prepare: how long 100 MB of conversations take to prepare, and in how much memory.

The aim: a minute and 1 GB on two cores. The rows are lines of the shipped poems in a seeded order, each row another, of
100 to 3,000 characters; builtin:tiny counts their tokens, about one a character.
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

from harness.config.paths import ROOT

_BYTES = 100_000_000
_AIM_SECONDS, _AIM_GB = 60, 1.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "chats.jsonl"
        count = _write(source)
        command = [sys.executable, "-m", "harness.prepare", "source=chat", f"source.path={source}", "model=tiny"]
        begun = time.monotonic()
        subprocess.run([*command, f"data.path={folder}/out", *sys.argv[1:]], check=True, env=os.environ)
        seconds = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"{count} rows, {_BYTES / 1e6:.0f} MB: {seconds:.0f} s (aim {_AIM_SECONDS}), {peak:.2f} GB (aim {_AIM_GB:g})")
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time on {os.cpu_count()} cores")


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
