"""Any file of a store damaged: it costs only itself, one clear line says so, and nothing wrong is taken for right."""

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.config.read_axes import read_space
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.multirun.repair import repair_sweep
from harness.multirun.sweep import SweepResult, run_sweep
from harness.run.inputs import Inputs, gather_inputs
from harness.run.resume import find_unfinished
from harness.run.reuse import find_source
from harness.run.session import Session
from harness.sweeping.journal_file import DamagedStudyError
from harness.sweeping.listing import list_studies
from harness.sweeping.storage import open_studies
from harness.tracking.reconcile import reconcile
from harness.tracking.store import Store, open_store
from tests.conftest import QUICK, compose_config
from tests.updates import interrupting

WORDS = [*QUICK, "generate.prompts=[]", "name=fuzz"]


def _sweep(uri: str, *ranks: int, display: Display | None = None) -> SweepResult:
    def compose(overrides: Sequence[str]) -> Config:
        return compose_config(*WORDS, f"tracking.uri={uri}", *overrides)

    return run_sweep(read_space({}, [f"lora.rank={','.join(map(str, ranks))}"]), compose, display or Display())


def _uri(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


@dataclass(frozen=True)
class Whole:
    """A store with a sweep that is done, and one that was left in its second trial."""

    home: Path
    done: SweepResult
    inputs: Inputs
    config: Config


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    home = tmp_path_factory.mktemp("whole")
    done = _sweep(_uri(home), 2, 4)
    with pytest.raises(KeyboardInterrupt):
        _sweep(_uri(home), 4, 6, display=interrupting("rank=6", 5))
    config = compose_config(*WORDS, f"tracking.uri={_uri(home)}", "lora.rank=6", "train.resume=auto")
    session = Session(open_store(config.tracking), Display())
    return Whole(home, done, gather_inputs(config, session), config)


def _flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def _nul(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes(min(64, len(content) - at)) + content[at + 64 :]


def _garbage(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + chance.randbytes(40) + content[at:]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _damage(home: Path, chance: random.Random) -> Path:
    """One file, in one of the ways in which disks and people do it."""
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and not path.is_symlink()]
    # those that processes hold rather than write, and the database's own journals, which are the database's business
    kinds = (".lock", ".writing", "-wal", "-shm")
    by_name: dict[str, list[Path]] = {}
    for path in files:
        if not path.name.endswith(kinds) and path.stat().st_size:
            by_name.setdefault(path.name if path.suffix != ".journal" else "journal", []).append(path)
    victim = chance.choice(by_name[chance.choice(sorted(by_name))])
    way = chance.choice([_flip, _nul, _garbage, _cut, None])
    if way is None:
        victim.unlink()
    else:
        content = way(victim.read_bytes(), chance)
        victim.unlink()  # it may have other names, which are other files to a disk
        victim.write_bytes(content)
    return victim


def _checks(whole: Whole, store: Store) -> Iterator[Callable[[], Any]]:
    """What commands read of a store, none of which trains."""
    studies = open_studies(None, store.studies)
    yield lambda: list_studies(studies, lambda error: _one_line(str(error)))
    yield lambda: list(reconcile(store))
    yield lambda: find_source(whole.config, whole.inputs, store, sweep="another", anywhere=True, warn=_one_line)
    yield lambda: find_unfinished(whole.config, Session(store, Display()), whole.inputs.parts, sweep=None)


def _one_line(text: str) -> None:
    assert "\n" not in text


def _runs(store: Store) -> dict[str, str | None]:
    """Each run, and the one that it was taken over from."""
    found = store.client.search_runs([store.experiment_id("fuzz")])
    return {run.info.run_id: run.data.tags.get("taken_from") for run in found}


def check_damage_stays_where_it_is(whole: Whole, home: Path, seed: int) -> None:
    shutil.copytree(whole.home, home, symlinks=True)
    victim = _damage(home, random.Random(seed))
    about = f"seed {seed}: {victim.relative_to(home)}"
    try:
        store = open_store(TrackingConfig(uri=_uri(home)))
        before = _runs(store)
        for check in _checks(whole, store):
            check()
        try:
            again = _sweep(_uri(home), 2, 4)
        except DamagedStudyError as error:
            assert victim.name in str(error)
            repair_sweep(store, open_studies(None, store.studies), whole.done.sweep_id)
            again = _sweep(_uri(home), 2, 4)
        assert again == whole.done, about
        # a study cut at the end of a line does not know its last trial: it is taken over from its run
        new = {run_id: source for run_id, source in _runs(store).items() if run_id not in before}
        assert all(source in before for source in new.values()), f"{about}: nothing is trained again"
    except Exception as error:
        if victim.name == "mlflow.db":  # all of MLflow's knowledge; that it says so is all that can be asked
            return
        error.add_note(about)
        raise


@pytest.mark.parametrize("seed", range(6))
def test_damage_stays_where_it_is(whole: Whole, tmp_path: Path, seed: int) -> None:
    check_damage_stays_where_it_is(whole, tmp_path / "home", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_damage_stays_where_it_is_wherever_it_strikes(whole: Whole, tmp_path: Path, seed: int) -> None:
    check_damage_stays_where_it_is(whole, tmp_path / "home", seed)
