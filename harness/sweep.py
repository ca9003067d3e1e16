"""python -m harness.sweep list|stop|resume: sweeps that run or were left, from another terminal."""

from typing import TYPE_CHECKING

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import storage_option, tracking_option

if TYPE_CHECKING:
    from harness.sweeping.storage import Studies

_TRIAL = click.option("--trial", type=int, help="A single trial, by its number from 1.")


@click.group()
def main() -> None:
    """See sweeps, stop one, go on with it. SWEEP is the beginning of its id; the newest if left out."""


@main.command("list")
@tracking_option
@storage_option
def list_(tracking_uri: str | None, storage: str | None) -> None:
    """Print the sweeps there are, the newest last."""
    plainly(lambda: _list(tracking_uri, storage))


@main.command()
@click.argument("sweep", required=False)
@_TRIAL
@tracking_option
@storage_option
def stop(sweep: str | None, trial: int | None, tracking_uri: str | None, storage: str | None) -> None:
    """Let a sweep, or one trial of it, end at its next validation.

    A sweep that is stopped keeps its trials where they are, to be gone on with. A trial that is stopped counts as
    pruned, and the sweep goes on with the next.
    """
    plainly(lambda: _stop(sweep, trial, tracking_uri, storage))


@main.command()
@click.argument("sweep", required=False)
@_TRIAL
@tracking_option
@storage_option
def resume(sweep: str | None, trial: int | None, tracking_uri: str | None, storage: str | None) -> None:
    """Run a sweep's own command again, here; or train one trial, pruned or interrupted, to its end."""
    plainly(lambda: _resume(sweep, trial, tracking_uri, storage))


def _list(tracking_uri: str | None, storage: str | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from harness.multirun.table import print_wide
    from harness.sweeping.listing import list_studies

    listed = list_studies(_studies(tracking_uri, storage))
    if not listed:
        print("no sweep yet; start one with python -m harness.train -m lora.rank=4,8,16")
        return
    table = Table(box=SIMPLE_HEAD)
    for label in ("sweep", "state", "trials", "pruned", "failed", "best", "at work", "what varies"):
        table.add_column(label, no_wrap=True, justify="left" if label in ("sweep", "state", "what varies") else "right")
    for each in listed:
        table.add_row(
            each.parent,
            each.state,
            f"{each.ended} of {each.total}",
            str(each.counts["pruned"]),
            str(each.counts["failed"]),
            "–" if each.best is None else f"{each.best:.4f}",
            ", ".join(each.workers) or "–",
            each.said,
        )
    print_wide(table)


def _stop(sweep: str | None, trial: int | None, tracking_uri: str | None, storage: str | None) -> None:
    from harness.errors import HarnessError
    from harness.sweeping.listing import ask_to_stop, find_study

    studies = _studies(tracking_uri, storage)
    listed = find_study(studies, sweep)
    if trial is None and not listed.workers:
        raise HarnessError(f"nobody is at work on sweep {listed.parent}: it is {listed.state}")
    ask_to_stop(studies, listed, trial)
    what = f"sweep {listed.parent}" if trial is None else f"trial {trial} of sweep {listed.parent}"
    print(f"{what} is to end at the next validation")


def _resume(sweep: str | None, trial: int | None, tracking_uri: str | None, storage: str | None) -> None:
    import os
    import shlex
    import sys
    from pathlib import Path

    from harness.errors import HarnessError
    from harness.sweeping.listing import find_study, run_of
    from harness.tracking.journal import Journal
    from harness.tracking.store import open_store

    studies = _studies(tracking_uri, storage)
    listed = find_study(studies, sweep)
    if trial is None:
        if not listed.command:
            raise HarnessError(f"the command of sweep {listed.parent} is not known; type it again")
        words = listed.command
    else:
        run_id = run_of(studies, listed, trial)
        journal = Journal(open_store(TrackingConfig(uri=tracking_uri)).runs / run_id)
        if journal.begun is None:
            raise HarnessError(f"the folder of run {run_id} is not on this machine; go on where it was trained")
        words = [*shlex.split(journal.tag("overrides")), f"train.resume={run_id}"]
    if listed.folder and Path(listed.folder).is_dir():
        os.chdir(listed.folder)  # where relative paths were meant
    print(shlex.join(["python", "-m", "harness.train", *words]), flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "harness.train", *words])


def _studies(tracking_uri: str | None, storage: str | None) -> "Studies":
    from harness.sweeping.storage import open_studies
    from harness.tracking.store import open_store

    return open_studies(storage, open_store(TrackingConfig(uri=tracking_uri)).studies)


if __name__ == "__main__":
    main(prog_name="python -m harness.sweep")
