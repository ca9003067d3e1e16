"""A sweep in processes of its own, each begun again whenever it dies: it costs one trial an attempt.

Each process is the same command with sweep.workers=0. What it had in hand, the study knows (sweeping/claims.py).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from rich.console import Console

from harness.console.interrupt import interrupted_by, requests_collected
from harness.console.worker_environment import BOARD, COMMAND, CONTROLLER, DEATHS, DRAWN, WORKER, WORKERS
from harness.errors import HarnessError
from harness.multirun.live_table import Board
from harness.sweeping.siblings import Death, deaths_kept

_AT_ONCE_SECONDS = 3.0  # too short to have begun a trial
_TIMES = 3

# what systems say when a process is killed for what it took
_LIKELY = {
    signal.SIGKILL: "perhaps for want of memory",
    signal.SIGSEGV: "so MLX's CPU backend ends when memory is short",
    signal.SIGABRT: "so Metal and CUDA end when memory is short, and Metal where a display is on, see docs/mac.md",
    signal.SIGALRM: "it took longer than sweep.trial_minutes",
}


def worker_command(words: Sequence[str]) -> list[str]:
    """The command of a process that does the work, from the words of the one that watches."""
    kept = [word for word in words if not word.startswith("sweep.workers=")]
    return [sys.executable, "-m", "harness.train", *kept, "sweep.workers=0"]


def devices() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name, one for each NVIDIA GPU; empty where there is none (a Mac has one GPU)."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [part for part in given.split(",") if part]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def supervise(command: Sequence[str], workers: int = 1, typed: Sequence[str] = ()) -> int:
    """Run so many of it until they end by themselves; returns the exit status of the first.

    `typed`: the words of this process's own command, for them to say how to go on.

    Raises:
        HarnessError: when one dies again and again before it can have begun.
    """
    console = Console(stderr=True, highlight=False)
    board = Board(console, workers)
    if not console.is_terminal:
        return Crew(command, workers, board, typed).run()
    with tempfile.TemporaryFile("w+") as results:
        with board.shown():
            status = Crew(command, workers, board, typed, results).run()
        results.seek(0)
        sys.stdout.write(results.read())
    return status


class Crew:
    """The processes of one command. Each has a thread here that starts it, hears it and starts it again.

    The others begin when the first has told of a trial: what is wrong with a command is said once. With `results` the
    board is drawn, and what goes to stdout is kept there until it is not.
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        board: Board,
        typed: Sequence[str] = (),
        results: IO[str] | None = None,
    ) -> None:
        self._command, self._workers, self._board, self._typed = command, workers, board, list(typed)
        self._drawn = results is not None
        self._devices: list[str] = []
        self._begun = threading.Event()
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._statuses: dict[int, int] = {}
        self._trouble: HarnessError | None = None
        self._passed_on: list[int] = []
        self._results = results

    def run(self) -> int:
        """Until all have ended by themselves; the exit status of the first.

        Raises:
            HarnessError: when one dies again and again before it can have begun.
        """
        self._devices = devices()
        if self._workers > max(len(self._devices), 1):
            shared = f"{len(self._devices)} GPUs" if self._devices else "one device"
            self._board.say(f"{self._workers} workers share {shared}: each needs its own memory")
        threads = [threading.Thread(target=self._keep, args=(index,)) for index in range(self._workers)]
        with deaths_kept() as self._deaths, requests_collected() as requests:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.1)
                for number in requests[len(self._passed_on) :]:
                    self._pass_on(number)
        if self._trouble is not None:
            raise self._trouble
        return self._statuses[0] if 0 in self._statuses else interrupted_by(self._passed_on[0]).exit_code

    def _pass_on(self, number: int) -> None:
        """A request to end goes to the processes, which are then waited for: they put things in order."""
        self._passed_on.append(number)
        self._begun.set()
        for process in list(self._processes.values()):
            process.send_signal(number)

    def _keep(self, index: int) -> None:
        """One process, and whatever has to follow it."""
        if index:
            self._begun.wait()
        try:
            if not self._passed_on:
                self._statuses[index] = self._run(index)
        except HarnessError as error:
            self._trouble = error
        finally:
            if index == 0:
                self._begun.set()

    def _run(self, index: int) -> int:
        at_once = 0
        while True:
            started = time.monotonic()
            pid, status = self._once(index)
            if status >= 0:
                self._tell(Death(pid, f"exit code {status}"))
            if status >= 0 or self._passed_on:
                return status if status >= 0 else 128 - status
            died = signal.Signals(-status)
            why = f"{died.name} ({_LIKELY[died]})" if died in _LIKELY else died.name
            final = died is signal.SIGALRM
            self._tell(Death(pid, why, final))
            at_once = at_once + 1 if time.monotonic() - started < _AT_ONCE_SECONDS else 0
            if at_once == _TIMES:
                raise HarnessError(f"the process that trains was ended by {died.name} {_TIMES} times as it began")
            what = "it is not taken up again" if final else "its trial is taken up again"
            self._board.say(f"the process that trains was ended by {why}; {what}")

    def _tell(self, death: Death) -> None:
        try:
            self._deaths.add(death)
        except OSError as error:  # then they wait a while before they take up its trial
            self._board.say(f"warning: the others do not hear how process {death.pid} ended: {error.strerror}")

    def _environment(self, index: int) -> dict[str, str]:
        """What a process is to know (see worker_environment.py)."""
        return os.environ | {
            CONTROLLER: str(os.getpid()),
            WORKER: str(index),
            WORKERS: str(self._workers),
            COMMAND: json.dumps(self._typed),
            DEATHS: str(self._deaths.descriptor),
        }

    def _once(self, index: int) -> tuple[int, int]:
        """Its process id and exit status."""
        environment = self._environment(index)
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[index % len(self._devices)]
        heard, told = os.pipe()
        piped = self._drawn or self._workers > 1
        if self._drawn:
            environment |= {DRAWN: "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        rows = threading.Thread(target=self._hear, args=(heard,))
        with subprocess.Popen(
            self._command,
            env=environment | {BOARD: str(told)},
            pass_fds=[told, self._deaths.descriptor],
            stdout=self._results,
            stderr=subprocess.PIPE if piped else None,
            text=True,
            start_new_session=True,
        ) as process:
            self._processes[index] = process
            os.close(told)
            rows.start()
            for line in process.stderr or ():
                self._board.say(f"{f'{index + 1}: ' if self._workers > 1 else ''}{line.rstrip()}")
            status = process.wait()
        rows.join()
        return process.pid, status

    def _hear(self, pipe: int) -> None:
        with open(pipe, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):  # one that a killed process left half-written is no row
                    self._board.hear(line)
                    self._begun.set()
