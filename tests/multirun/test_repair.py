"""A sweep whose study is gone or damaged: what has finished is not trained again."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.config.read_axes import read_space
from harness.config.schema import Config
from harness.console.progress import Display
from harness.multirun.sweep import SweepResult, run_sweep
from harness.sweep import main
from harness.sweeping.journal_file import DamagedStudyError
from harness.tracking.store import Store
from tests.conftest import QUICK, compose_config
from tests.updates import interrupting

Sweep = Callable[..., SweepResult]
Said = pytest.CaptureFixture[str]


@pytest.fixture
def sweep(store: Store) -> Sweep:
    """Runs one of two ranks in this process, by the name of its experiment."""

    def run(name: str, display: Display | None = None) -> SweepResult:
        def compose(overrides: Sequence[str]) -> Config:
            words = ["generate.prompts=[]", "sweep.repeats=1", f"tracking.uri={store.uri}", f"name={name}"]
            return compose_config(*QUICK, *words, *overrides)

        return run_sweep(read_space({}, ["lora.rank=4,8"]), compose, display or Display())

    return run


def _journal(store: Store, sweep_id: str) -> Path:
    name = store.client.get_run(sweep_id).data.tags["study"]
    return store.studies / f"{name}.journal"


def _runs(store: Store, name: str) -> list[tuple[str, str, str]]:
    found = store.client.search_runs([store.experiment_id(name)])
    return sorted((run.info.run_name, run.info.run_id, run.info.status) for run in found)


def test_a_sweep_whose_study_is_gone_or_damaged_is_rebuilt_from_its_runs(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    whole = sweep("repaired")
    runs, journal = _runs(store, "repaired"), _journal(store, whole.sweep_id)
    journals = list(journal.parent.glob(f"{journal.stem}*.journal"))
    assert len(journals) == 2, "its repeats are a study of their own"
    for gone in (Path.unlink, lambda file: file.write_bytes(b"")):
        for each in journals:
            gone(each)
        assert sweep("repaired") == whole
        said = capsys.readouterr().err
        assert f"the study of sweep {whole.sweep_id} was gone: it is rebuilt from its runs" in said
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"\0\0\xff\n", *lines[5:]]))
    with pytest.raises(DamagedStudyError, match=r"line 5 \(it is not what .*; python -m harness.sweep repair"):
        sweep("repaired")
    listed = CliRunner().invoke(main, ["list", "--tracking-uri", store.uri])
    assert listed.exit_code == 0 and "line 5 (it is not what Optuna writes)" in listed.output
    done = CliRunner().invoke(main, ["repair", whole.sweep_id[:8], "--tracking-uri", store.uri])
    assert done.exit_code == 0 and f"{journal}.damaged" in done.output and "trials put right" in done.output
    assert sweep("repaired") == whole and _runs(store, "repaired") == runs
    values = [result.value for result in whole.results]
    assert [result.value for result in sweep("repaired").results] == values, "exactly"


def test_an_interrupted_sweep_whose_study_is_gone_goes_on_where_its_runs_are(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    with pytest.raises(KeyboardInterrupt):
        sweep("goes-on", interrupting("rank=8", 5))
    before = _runs(store, "goes-on")
    (sweep_id,) = [run_id for name, run_id, _ in before if name.startswith("sweep")]
    _journal(store, sweep_id).unlink()
    capsys.readouterr()
    result = sweep("goes-on")
    assert "after update 3" in capsys.readouterr().err and result.sweep_id == sweep_id
    after = [each for each in _runs(store, "goes-on") if "seed=" not in each[0]]  # its repeats are new
    assert [each[:2] for each in after] == [each[:2] for each in before]
    assert {status for _, _, status in after} == {"FINISHED"}
