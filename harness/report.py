"""python -m harness.report: a sweep on one page, with Optuna's plots, also while it runs."""

from pathlib import Path

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import storage_option, tracking_option
from harness.tracking import run_folder


@click.command()
@click.argument("sweep", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="The page's file.  [default: in the sweep's folder]")
@tracking_option
@storage_option
def main(sweep: str | None, out: Path | None, tracking_uri: str | None, storage: str | None) -> None:
    """Write a sweep as one HTML page, and put it with its run in MLflow.

    SWEEP is the beginning of its id; the newest if left out. It may still be running.
    """
    plainly(lambda: _report(sweep, out, tracking_uri, storage))


def _report(sweep: str | None, out: Path | None, tracking_uri: str | None, storage: str | None) -> None:
    from harness.multirun.report import write_report
    from harness.multirun.widening import widening_said
    from harness.sweeping.listing import find_study
    from harness.sweeping.storage import open_studies
    from harness.tracking.store import open_store

    store = open_store(TrackingConfig(uri=tracking_uri))
    studies = open_studies(storage, store.studies)
    listed = find_study(studies, sweep)
    file = out or store.runs / listed.parent / run_folder.SWEEP_REPORT
    write_report(store, studies, listed, file)
    print(file)
    for line in widening_said(store, studies, listed):
        print(line)
    print(f"the study itself: optuna-dashboard {studies.uri(listed.name)}")


if __name__ == "__main__":
    main(prog_name="python -m harness.report")
