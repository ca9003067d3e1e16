"""python -m harness.reconcile: send what a tracking store has not got yet, close runs whose process is gone."""

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option


@click.command()
@tracking_option
def main(tracking_uri: str | None) -> None:
    """Send what runs on this machine could not tell MLflow, and close those whose process is gone.

    A run writes all that it tells to its own folder first, so that a tracking store that does not answer
    loses nothing. Runs that are still at work are left alone. A run that is closed can be gone on with.
    """
    plainly(lambda: _settle_all(TrackingConfig(uri=tracking_uri)))


def _settle_all(tracking: TrackingConfig) -> None:
    from harness.errors import HarnessError
    from harness.tracking import run_folder
    from harness.tracking.reconcile import close_orphans, reconcile
    from harness.tracking.store import open_store

    store = open_store(tracking)
    done = left = 0
    for settled in reconcile(store):
        done += 1
        print(f"run {settled.run_id} ({settled.name}): entries sent: {settled.sent}")
        for line in settled.damage:
            print(f"  {line}")
        if settled.closed:
            print("  its process was gone: now KILLED")
            if not settled.deleted and (settled.folder / run_folder.STATE).exists():
                words = f"{settled.overrides} train.resume={settled.run_id}".strip()
                print(f"  go on with: python -m harness.train {words}")
        if settled.deleted:
            print("  it was deleted in MLflow: the rest is kept in its folder, for when it is restored there")
        if settled.left is not None:
            left += 1
            print(f"  the rest is refused: {settled.left}")
    for run_id in close_orphans(store):
        done += 1
        print(f"run {run_id} has no folder any more: now KILLED")
    if done == 0:
        print(f"nothing to do: {store.uri} has everything, and no run was left open")
    if left:
        raise HarnessError(f"{left} of {done} runs still wait; run this again when the store takes them")


if __name__ == "__main__":
    main(prog_name="python -m harness.reconcile")
