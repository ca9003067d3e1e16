"""Several machines on one study: a PostgreSQL and an MLflow server, and nothing else that they share."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from harness.config.axes import Range, Space
from harness.config.paths import ROOT
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.sweeping.storage import open_studies
from harness.sweeping.study import Pace, Study, open_study
from harness.sweeping.trial import Trial, TrialEnd
from harness.tracking.store import open_store
from tests.conftest import QUICK
from tests.postgres import Postgres, postgres_programs
from tests.server import Server
from tests.sweeping.small import make_search

PROGRAMS = postgres_programs()
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed: several machines were left out")

RATE = Range("train.learning_rate", 1e-5, 1e-3, log=True, whole=False)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """In a folder outside pytest's, which another pytest that begins meanwhile closes for all but its owner."""
    assert PROGRAMS is not None
    with TemporaryDirectory() as home:
        database = Postgres(Path(home), PROGRAMS)
        yield database
        database.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path)
    yield started
    started.close()


def _machine(folder: Path) -> Path:
    """A checkout of its own: its runs, caches and studies lie in it."""
    for name in ("harness", "hydra_plugins", "conf", "sweeps", "data"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    return folder


def _start(machine: Path, words: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "harness.train", "-m", *words]
    environment = os.environ | {"PYTHONPATH": str(machine)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=machine, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_two_machines_join_one_study_by_the_same_command(tmp_path: Path, postgres: Postgres, server: Server) -> None:
    machines = [_machine(tmp_path / name) for name in ("one", "two")]
    words = [*QUICK, "lora.rank=2,3,4,5,6,8", "generate.prompts=[]", f"tracking.uri={server.uri}", "name=machines"]
    words += ["train.iters=60", "train.warmup=0", f"sweep.storage={postgres.url}", "sweep.report=false"]
    started = [_start(machine, words) for machine in machines]
    said = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    trained = [
        sorted(path.name for path in (machine / "mlruns" / "runs").glob("*/report.json")) for machine in machines
    ]
    assert all(trained), "each trained some"
    store = open_store(TrackingConfig(uri=server.uri))
    runs = store.client.search_runs([store.experiment_id("machines")])
    assert {run.info.status for run in runs} == {"FINISHED"}
    names = [run.info.run_name for run in runs if run.data.tags["kind"] == "trial"]
    assert sorted(names) == [f"rank={rank}" for rank in (2, 3, 4, 5, 6, 8)], "none lost, none twice"
    assert len(runs) == 7, "one parent"
    with psycopg.connect(postgres.url) as connection:
        states = connection.execute("SELECT state, count(*) FROM trials GROUP BY state").fetchall()
    assert states == [("COMPLETE", 6)]


def _study(postgres: Postgres, name: str, folder: Path, beat_seconds: float = 20.0) -> Study:
    search = make_search(trials=4, sampler="random")
    studies = open_studies(postgres.url, folder)
    return open_study(name, studies, Space([RATE], []), search, Pace(1, 3), beat_seconds=beat_seconds)


DYING = """
import os, signal, socket, sys
from pathlib import Path
from types import SimpleNamespace
socket.gethostname = lambda: "another-machine"
from tests.pipeline.test_machines import _study
_study(SimpleNamespace(url=sys.argv[1]), sys.argv[2], Path(sys.argv[3]), beat_seconds=0.1).run(
    lambda trial: os.kill(os.getpid(), signal.SIGKILL)
)
"""


def test_a_trial_of_a_machine_that_went_silent_is_taken_up_and_counts_as_no_death(
    tmp_path: Path, postgres: Postgres
) -> None:
    died = subprocess.run([sys.executable, "-c", DYING, postgres.url, "silent", str(tmp_path)], capture_output=True)
    assert died.returncode == -9, died.stderr
    seen = []

    def objective(trial: Trial) -> TrialEnd:
        seen.append((trial.number, trial.attempt))
        return TrialEnd(1.0)

    study = _study(postgres, "silent", tmp_path, beat_seconds=0.1)
    study.run(objective)
    assert sorted(seen) == [(0, 1), (1, 1), (2, 1), (3, 1)] and len(study.results()) == 4


def test_one_process_at_a_time_changes_a_study_wherever_it_runs(tmp_path: Path, postgres: Postgres) -> None:
    """A lock that ends with its process."""
    code = """
import sys
from pathlib import Path
from harness.sweeping.storage import open_studies
with open_studies(sys.argv[1], Path(sys.argv[2])).alone("locked"):
    print("in", flush=True)
    sys.stdin.read()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, postgres.url, str(tmp_path)], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None and other.stdout.readline() == b"in\n"
        with psycopg.connect(postgres.url) as connection:
            (held,) = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() or (0,)
        assert held == 1
        other.kill()
        started = time.monotonic()
        with open_studies(postgres.url, tmp_path).alone("locked"):
            assert time.monotonic() - started < 30


def test_a_database_that_cannot_be_used_is_one_line(tmp_path: Path, postgres: Postgres) -> None:
    with pytest.raises(HarnessError, match="sweep.storage must not hold a password"):
        open_studies(postgres.url.replace("harness@", "harness:secret@"), tmp_path)
    with pytest.raises(HarnessError, match="cannot be opened: .*see that it runs, PGUSER and PGPASSWORD are set"):
        open_studies("postgresql://harness@127.0.0.1:1/postgres", tmp_path)
    with pytest.raises(HarnessError, match="must be postgresql://<user>@<host>/<database>, sqlite:////"):
        open_studies("redis://127.0.0.1", tmp_path)
    with pytest.raises(HarnessError, match="must hold an absolute path, as sqlite:////folder/studies.db"):
        open_studies("sqlite:///studies.db", tmp_path)
