"""The command as users start and end it."""

import os
import re
import signal
import subprocess
import sys

from openai import OpenAI

from harness.config.paths import ROOT


def test_the_command_says_where_it_serves_what_answers_and_ends_at_a_signal_with_nothing_to_complain() -> None:
    words = ["-m", "harness.serve", "none", "--model", "builtin:tiny", "--port", "0", "--log-level", "info"]
    token = "a-token-that-nobody-sees"
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"HARNESS_SERVE_TOKEN": token},
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"serving (http://127\.0\.0\.1:\d+/v1): builtin:tiny \(builtin:tiny\)\n", said)
        assert found, said
        with OpenAI(base_url=found[1], api_key=token, max_retries=0) as client:
            reply = client.completions.create(model="none", prompt="河", max_tokens=4, temperature=0)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=120)
    assert reply.usage is not None and process.returncode == 0, rest
    assert re.search(r"^200 builtin:tiny: \d+ tokens, 4 written \(length\) in [\d.]+ s$", rest, re.MULTILINE)
    assert token not in said + rest and "河" not in rest
