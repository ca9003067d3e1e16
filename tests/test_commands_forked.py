"""A forked command is what a command in a new process would be."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.commands import run_command

SAY = """
import os, signal, sys, threading
print(os.getcwd(), sys.argv[1:], os.environ["WORD"], os.environ.get("OTHER"), __name__)
print(sys.path[0] in ("", os.getcwd()), sys.stdin.read(), len(threading.enumerate()))
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print("to the user", file=sys.stderr)
sys.exit(3)
"""


def test_a_forked_command_sees_what_a_new_process_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "said")
    words = ["-c", SAY, "one", "two words"]
    forked = run_command(*words, folder=tmp_path)
    new = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert (forked.returncode, forked.stdout, forked.stderr) == (new.returncode, new.stdout, new.stderr)
    assert new.returncode == 3 and "said None" in new.stdout


def test_a_forked_command_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    code = "import os, harness\nprint(hasattr(harness, 'left'), 'LEFT' in os.environ)\n"
    code += "harness.left = True\nos.environ['LEFT'] = 'x'\nos.chdir('/')"
    for _ in range(2):
        assert run_command("-c", code, folder=tmp_path, check=True).stdout == "False False\n"


def test_a_forked_command_that_is_killed_or_raises_says_so(tmp_path: Path) -> None:
    killed = run_command("-c", "import os\nos.kill(os.getpid(), 9)", folder=tmp_path)
    raised = run_command("-c", "raise ValueError('a bug')", folder=tmp_path)
    assert killed.returncode == -9 and raised.returncode == 1
    assert raised.stderr.startswith("Traceback") and raised.stderr.endswith("ValueError: a bug\n")


def test_a_forked_command_has_the_given_environment_alone(tmp_path: Path) -> None:
    code = "import os\nprint(os.environ['COLUMNS'], 'PYTEST_CURRENT_TEST' in os.environ)"
    few = {"PATH": os.environ["PATH"], "COLUMNS": "77"}
    assert run_command("-c", code, folder=tmp_path, environment=few).stdout == "77 False\n"


def test_forked_commands_run_at_once(tmp_path: Path) -> None:
    """Each waits for what the other writes."""
    code = "import sys, time\nfrom pathlib import Path\nown, other = sys.argv[1:]\nPath(own).touch()\n"
    code += "while not Path(other).exists(): time.sleep(0.01)"
    with ThreadPoolExecutor(2) as threads:
        names = (("a", "b"), ("b", "a"))
        ended = list(threads.map(lambda words: run_command("-c", code, *words, folder=tmp_path), names))
    assert [each.returncode for each in ended] == [0, 0]
