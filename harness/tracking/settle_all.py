"""What harness.reconcile does and prints: a line on each run that was settled, and how to go on with it."""

from collections.abc import Iterator

from harness.errors import HarnessError
from harness.tracking import run_folder
from harness.tracking.reconcile import Settled, close_orphans, reconcile
from harness.tracking.store import Store


def settle_all(store: Store) -> None:
    """Send what is left of every run of the store, close those whose process is gone, and print a line on each.

    Raises:
        HarnessError: when some still wait.
    """
    done = left = 0
    for settled in reconcile(store):
        done += 1
        for line in _lines(settled):
            print(line)
        if settled.left is not None:
            left += 1
    for run_id in close_orphans(store):
        done += 1
        print(f"run {run_id} has no folder any more: now KILLED")
    if done == 0:
        print(f"nothing to do: {store.uri} has everything, and no run was left open")
    if left:
        raise HarnessError(f"{left} of {done} runs still wait; run this again when the store takes them")


def _lines(settled: Settled) -> Iterator[str]:
    yield f"run {settled.run_id} ({settled.name}): entries sent: {settled.sent}"
    for line in settled.damage:
        yield f"  {line}"
    if settled.closed:
        yield "  its process was gone: now KILLED"
        if not settled.deleted and (settled.folder / run_folder.STATE).exists():
            words = f"{settled.overrides} train.resume={settled.run_id}".strip()
            yield f"  go on with: python -m harness.train {words}"
    if settled.deleted:
        yield "  it was deleted in MLflow: the rest is kept in its folder, for when it is restored there"
    if settled.left is not None:
        yield f"  the rest is refused: {settled.left}"
