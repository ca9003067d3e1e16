"""Damaged files of a run: named, with what can be done; what is intact is kept, nothing is silently missing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import Config
from harness.console.progress import Display
from harness.errors import DamagedError
from harness.files import write_json
from harness.models.adapter import save_weights
from harness.run.inputs import gather_inputs
from harness.run.reuse import find_source
from harness.run.session import Session
from harness.tracking import queries, run_folder
from harness.tracking.candidates import of_run
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Journal
from harness.tracking.reconcile import reconcile
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store


@pytest.fixture
def left(store: Store) -> Iterator[TrackedRun]:
    """A run that told five points, all of them sent, and two more that wait; its process is gone."""
    with TrackedRun.start(store, "damage", name="r", tags={"kind": "run"}) as run:
        for step in range(1, 6):
            run.metrics(step, {"train/loss": float(step)})
        assert run.drain() == 0
    journal = Journal(run.folder)
    for step in (6, 7):
        journal.write(EntryKind.METRICS, step=step, values={"train/loss": float(step)})
    yield run
    for _ in reconcile(store):  # leaves nothing to other tests
        pass


def _points(store: Store, run_id: str) -> list[int]:
    return [point.step for point in store.client.get_metric_history(run_id, "train/loss")]


def _spoil(file: Path, at: int, line: bytes = b"\0\0\0") -> None:
    lines = file.read_bytes().split(b"\n")
    lines[at] = line
    file.write_bytes(b"\n".join(lines))


def _settle(store: Store, run: TrackedRun) -> list[str]:
    (settled,) = [each for each in reconcile(store) if each.run_id == run.run_id]
    assert settled.left is None and settled.closed
    return settled.damage


def test_a_damaged_line_costs_what_it_said_and_the_run_in_mlflow_says_so(store: Store, left: TrackedRun) -> None:
    _spoil(left.folder / run_folder.JOURNAL, -3)  # the one of update 6
    (line,) = _settle(store, left)
    assert f"{run_folder.JOURNAL} is damaged in line 7" in line
    assert _points(store, left.run_id) == [1, 2, 3, 4, 5, 7]
    found = store.client.get_run(left.run_id)
    assert found.data.tags["damage"] == line and found.info.status == "KILLED"


def test_a_damaged_line_that_mlflow_has_costs_nothing(store: Store, left: TrackedRun) -> None:
    _spoil(left.folder / run_folder.JOURNAL, 2, b"garbage")
    _settle(store, left)
    assert _points(store, left.run_id) == [1, 2, 3, 4, 5, 6, 7]


def test_a_run_with_a_damaged_line_is_gone_on_with(store: Store, left: TrackedRun) -> None:
    _spoil(left.folder / run_folder.JOURNAL, 2, b"garbage")
    with TrackedRun.resume(store, left.folder) as run:
        assert len(run.damage) == 1
        run.metrics(8, {"train/loss": 8.0})
        assert run.finish(RunState.FINISHED) == 0
    assert _points(store, left.run_id) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("content", [b"garbage", b"\0" * 40, b"", b"[]"])
def test_what_was_sent_is_sent_again_where_that_cannot_be_told_and_is_there_once(
    store: Store, left: TrackedRun, content: bytes
) -> None:
    (left.folder / run_folder.SENT).write_bytes(content)
    (line,) = _settle(store, left)
    assert run_folder.SENT in line and "all that the run told is sent once more" in line
    assert _points(store, left.run_id) == [1, 2, 3, 4, 5, 6, 7]


def test_a_journal_that_was_cut_is_named_and_what_comes_after_is_sent(store: Store, left: TrackedRun) -> None:
    file = left.folder / run_folder.JOURNAL
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    whole = len(Journal(left.folder).entries)
    (line,) = Journal(left.folder).damage
    assert line.endswith(f"is cut: MLflow has {6 - whole} entries that it has not")
    with TrackedRun.resume(store, left.folder) as run:
        run.metrics(8, {"train/loss": 8.0})
        assert run.finish(RunState.FINISHED) == 0
    assert _points(store, left.run_id) == [1, 2, 3, 4, 5, 8]


def test_a_run_whose_beginning_cannot_be_read_is_named_and_others_are_settled(store: Store, left: TrackedRun) -> None:
    with TrackedRun.start(store, "damage", name="other", tags={"kind": "run"}) as other:
        other.drain()
    _spoil(left.folder / run_folder.JOURNAL, 0)
    settled = {each.folder: each for each in reconcile(store)}
    assert f"remove the folder {left.folder}" in str(settled[left.folder].left)
    assert settled[other.folder].closed and settled[other.folder].left is None
    (left.folder / run_folder.JOURNAL).unlink()


def test_a_checkpoint_whose_weights_changed_is_refused_by_its_name(store: Store, left: TrackedRun) -> None:
    with TrackedRun.resume(store, left.folder) as run:
        weights = run.folder / "0000001_adapters.safetensors"
        save_weights(weights, {"a": mx.zeros((64,))}, {"step": "1"})
        write_json(run.folder / "adapter_config.json", {})
        run.checkpoint(
            weights.name,
            configs=["adapter_config.json"],
            step=1,
            scores={"valid/loss": 1.0},
            dataset=("valid", "d"),
            params={},
            tags={},
        )
        assert run.finish(RunState.FINISHED) == 0, run.trouble
    (point,) = of_run(store, queries.get(store, run.run_id)).best
    stored = checkpoint_folder(store, point.model_id) / "adapters.safetensors"
    content = bytearray(stored.read_bytes())
    content[-5] ^= 4
    stored.write_bytes(content)
    with pytest.raises(DamagedError, match="does not hold the weights that were logged; put back a copy of it"):
        checkpoint_folder(store, point.model_id)


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        (run_folder.JOURNAL, lambda path: _spoil(path, 3)),
        (run_folder.LOG, lambda path: _spoil(path, 1)),
    ],
)
def test_a_damaged_file_of_another_run_costs_only_that_run(
    store: Store,
    quick_config: Callable[..., Config],
    tmp_path: Path,
    file: str,
    spoil: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = Session(store, Display())
    config = quick_config("name=damage", "train.seed=4711")  # of an identity that no other test trains
    inputs = gather_inputs(config, session)
    with TrackedRun.start(store, "damage", name="former", tags={"kind": "run"}) as run:
        write_json(run.folder / run_folder.PARTS, inputs.parts)
        run.dataset(name="valid", digest=inputs.valid.digest, path=tmp_path, context="valid")
        run.params(
            {f"train.{name}": getattr(config.train, name) for name in ("steps_per_eval", "save_every", "patience")}
        )
        for event in ("started", "scored", "ended"):
            with (run.folder / run_folder.LOG).open("a") as log:
                log.write(json.dumps({"event": event, "step": 6, "loss": 1.0}) + "\n")
        assert run.finish(RunState.FINISHED) == 0
    spoil(run.folder / file)
    for _ in range(2):
        found = find_source(config, inputs, store, sweep="s", anywhere=True, warn=session.warn_once)
        assert found is None
    said = [line for line in capsys.readouterr().err.splitlines() if "nothing is taken over" in line]
    assert len(said) == 1 and f"{run.folder / file}" in said[0] and "is damaged" in said[0], "once"
    (run.folder / run_folder.PARTS).unlink()
