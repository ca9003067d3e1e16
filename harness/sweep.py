"""python -m harness.sweep list|stop|resume|repair: sweeps that run or were left, from another terminal."""

import click

from harness.console.command import plainly
from harness.console.options import storage_option, tracking_option

_TRIAL = click.option("--trial", type=int, help="A single trial, by its number from 1.")


@click.group()
def main() -> None:
    """See sweeps, stop one, go on with it. SWEEP is the beginning of its id; the newest if left out."""


@main.command("list")
@tracking_option
@storage_option
def list_(tracking_uri: str | None, storage: str | None) -> None:
    """Print the sweeps there are, the newest last."""
    from harness.multirun.other_terminal import print_sweeps

    plainly(lambda: print_sweeps(tracking_uri, storage))


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
    from harness.multirun.other_terminal import stop_sweep

    plainly(lambda: stop_sweep(sweep, trial, tracking_uri, storage))


@main.command()
@click.argument("sweep", required=False)
@_TRIAL
@tracking_option
@storage_option
def resume(sweep: str | None, trial: int | None, tracking_uri: str | None, storage: str | None) -> None:
    """Run a sweep's own command again, here; with --trial for one only, failed, pruned or left, up to its end."""
    from harness.multirun.other_terminal import resume_sweep

    plainly(lambda: resume_sweep(sweep, trial, tracking_uri, storage))


@main.command()
@click.argument("sweep")
@tracking_option
@storage_option
def repair(sweep: str, tracking_uri: str | None, storage: str | None) -> None:
    """Rebuild the study of a sweep that is damaged, from what is intact and from its runs.

    SWEEP is the beginning of its id, or of its study's name. What was there is kept beside it.
    """
    from harness.multirun.other_terminal import repair_study

    plainly(lambda: repair_study(sweep, tracking_uri, storage))


if __name__ == "__main__":
    main(prog_name="python -m harness.sweep")
