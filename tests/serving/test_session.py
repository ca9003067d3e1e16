"""The command as users start and end it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from openai import OpenAI

from harness.config.paths import ROOT

TOKEN = "a-token-that-nobody-sees"


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen[str], OpenAI, str]]:
    """The process, a client of it, and what it said so far."""
    words = ["-m", "harness.serve", "none", "--model", "builtin:tiny", "--port", "0", "--log-level", "info"]
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"HARNESS_SERVE_TOKEN": TOKEN},
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"serving (http://127\.0\.0\.1:\d+/v1): builtin:tiny \(builtin:tiny\)\n", said)
        assert found, said
        with OpenAI(base_url=found[1], api_key=TOKEN, max_retries=0) as client:
            yield process, client, said


def test_the_command_says_where_it_serves_what_answers_and_ends_at_a_signal_with_nothing_to_complain() -> None:
    with started() as (process, client, said):
        reply = client.completions.create(model="none", prompt="河", max_tokens=4, temperature=0)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=120)
    assert reply.usage is not None and process.returncode == 0, rest
    assert re.search(r"^200 builtin:tiny: \d+ tokens, 4 written \(length\) in [\d.]+ s$", rest, re.MULTILINE)
    assert TOKEN not in said + rest and "河" not in rest


def test_with_its_terminal_closed_it_answers_and_ends_when_what_is_under_way_is_written() -> None:
    with started() as (process, client, _):
        assert process.stdout is not None
        process.stdout.close()
        assert client.completions.create(model="none", prompt="河", max_tokens=4, temperature=0).usage
        stream = client.completions.create(model="none", prompt="河", max_tokens=600, temperature=0, stream=True)
        next(stream)
        process.send_signal(signal.SIGHUP)
        *_, last = stream
        assert last.choices[0].finish_reason is not None and process.wait(120) == 0
