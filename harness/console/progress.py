"""What a person sees while a run goes on: a bar in a terminal, plain lines elsewhere.

Knows nothing of where the numbers come from.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.console.worker_environment import DRAWN

_LINE_EVERY_SECONDS = 10.0


class Display:
    """Shows one run. Everything goes to stderr: a command's result on stdout stays clean."""

    def __init__(self, *, silent: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=silent)
        self._drawn = silent or DRAWN in os.environ
        self._progress: Progress | None = None
        self._total = 0
        self._started = self._last_line = 0.0
        self._shown = {"loss": "", "valid": "", "speed": ""}

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def updates(self, total: int, label: str) -> Iterator[None]:
        """The training of one run, `total` updates long."""
        self._total, self._label = total, label
        self._started = self._last_line = time.monotonic()
        self._shown = {"loss": "–", "valid": "–", "speed": "–"}
        if not self._console.is_terminal:
            yield
            return
        columns = [
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(
                "loss {task.fields[shown][loss]} valid {task.fields[shown][valid]} {task.fields[shown][speed]} tok/s"
            ),
            TimeRemainingColumn(),
        ]
        with Progress(*columns, console=self._console, refresh_per_second=4) as progress:
            self._progress, self._task = progress, progress.add_task(label, total=total, shown=self._shown)
            try:
                yield
            finally:
                self._progress = None

    @contextmanager
    def computing(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Something that may have to be done, in steps; gives a function that is told how many of how many are.

        Nothing is shown before it is first told.
        """
        with ExitStack() as shown:
            progress: Progress | None = None
            said = False

            def tell(done: int, total: int) -> None:
                nonlocal progress, said
                if not said and not self._console.is_terminal:
                    self.say(f"computing {what}")
                elif not said:
                    columns = [
                        TextColumn("{task.description}"),
                        BarColumn(bar_width=24),
                        MofNCompleteColumn(),
                        TimeRemainingColumn(),
                    ]
                    progress = shown.enter_context(Progress(*columns, console=self._console, refresh_per_second=4))
                    progress.add_task(f"computing {what}", total=total)
                said = True
                if progress is not None:
                    progress.update(progress.task_ids[0], completed=done)

            yield tell

    @contextmanager
    def texts(self, total: int, doing: str = "writing", what: str = "texts") -> Iterator[Callable[[int], None]]:
        """Texts being written; gives a function that is told the tokens of each that is finished."""
        started = last_line = time.monotonic()
        done = tokens = 0

        def said() -> str:
            seconds = max(time.monotonic() - started, 1e-9)
            left = duration(seconds / done * (total - done)) if done else "?"
            speed = f"  {tokens / seconds:.0f} tok/s" if tokens else ""
            return f"{3600 * done / seconds:.0f} {what} an hour{speed}  {left} left"

        def tell(more: int) -> None:
            nonlocal done, tokens, last_line
            done, tokens = done + 1, tokens + more
            if progress is not None:
                progress.update(progress.task_ids[0], completed=done, said=said())
            elif time.monotonic() - last_line > _LINE_EVERY_SECONDS or done == total:
                last_line = time.monotonic()
                self.say(f"{doing} {done}/{total}  {said()}")

        with ExitStack() as shown:
            progress: Progress | None = None
            if self._console.is_terminal:
                columns = [
                    TextColumn("{task.description}"),
                    BarColumn(bar_width=24),
                    MofNCompleteColumn(),
                    TextColumn("{task.fields[said]}"),
                ]
                progress = shown.enter_context(Progress(*columns, console=self._console, refresh_per_second=4))
                progress.add_task(doing, total=total, said="")
            yield tell

    def update(
        self, step: int, *, loss: float | None = None, valid: float | None = None, speed: float | None = None
    ) -> None:
        """`loss` and `valid` in nats a learned token, `speed` in learned tokens a second."""
        for key, value, digits in (("loss", loss, 3), ("valid", valid, 4), ("speed", speed, 0)):
            if value is not None:
                self._shown[key] = f"{value:.{digits}f}"
        if self._progress is not None:
            self._progress.update(self._task, completed=step, shown=dict(self._shown))
        elif not self._drawn and (valid is not None or time.monotonic() - self._last_line > _LINE_EVERY_SECONDS):
            self._line(step)

    def validating(self, done: int, total: int) -> None:
        """Batches of a validation."""
        if self._progress is not None:
            label = self._label if done == total else f"{self._label} (validating {done}/{total})"
            self._progress.update(self._task, description=label)
        elif not self._drawn and done < total and time.monotonic() - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{self._label}  validating {done}/{total}")

    def _line(self, step: int) -> None:
        self._last_line = time.monotonic()
        left = (self._last_line - self._started) * (self._total - step) / step if step else math.nan
        words = [
            f"{self._label} {step}/{self._total}",
            f"loss {self._shown['loss']}",
            f"valid {self._shown['valid']}",
        ]
        words += [f"{self._shown['speed']} tok/s", f"{duration(left)} left" if step else ""]
        self.say("  ".join(word for word in words if word))


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 3 min 20 s, 2 h 5 min."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
