"""How a command's process ends: connections are closed, nothing else is looked for."""

from pathlib import Path

import pytest

from tests.commands import Start, run_command, start_command

CODE = """
import sys
from pathlib import Path
from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.tracking.store import open_store

class Held:
    def __del__(self):
        print("looked for")

def work():
    held = Held()
    held.itself = held
    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    print(open_store(TrackingConfig(uri=uri)).experiment_id("poems"), Path("mlflow.db-wal").exists())
    sys.exit(int(sys.argv[1]))

plainly(work)
"""


@pytest.mark.parametrize(("start", "status"), [(run_command, 3), (start_command, 0)])
def test_a_process_closes_its_database_without_looking_for_garbage(start: Start, status: int, tmp_path: Path) -> None:
    done = start("-c", CODE, str(status), folder=tmp_path)
    assert (done.returncode, done.stdout) == (status, "1 True\n"), done.stderr
    assert not list(tmp_path.glob("mlflow.db-*"))
