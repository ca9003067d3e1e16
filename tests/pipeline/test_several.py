"""One run on two processes, as mlx.launch starts them: what one process learns, recorded once, whatever ends it."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import pytest
from mlflow.entities import Run

from harness.config.schema import TrackingConfig
from harness.tracking import run_folder
from harness.tracking.store import Store, open_store
from tests.commands import Ended, run_command
from tests.conftest import QUICK
from tests.several import run_several

# seven rows by three: the last batch of an epoch is one row, which leaves a process without any
SETTINGS = [*QUICK, "train.iters=4", "train.batch_size=3", "train.grad_accumulation_steps=2", "train.valid_rows=null"]
SETTINGS += ["train.steps_per_eval=2", "train.save_every=2", "lora.dropout=0", "lora.b_rate=2"]

# harness.train; in the process of that number, the signal comes before the sum of that update
CHILD = """
import os, sys
rank, update, number = (int(word) for word in sys.argv.pop(1).split())
import mlx.core as mx
if os.environ["MLX_RANK"] == str(rank):
    all_sum, updates = mx.distributed.all_sum, 0
    def signalling(values):
        global updates
        updates += values.dtype == mx.float32 and values.size > 1000
        if updates == update:
            updates += 1
            os.kill(os.getpid(), number)
        return all_sum(values)
    mx.distributed.all_sum = signalling
from harness.train import main
main()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, poems: Path) -> Path:
    """Rows that no other test has, so that what the frozen blocks make of them is not there yet; and a store."""
    made = tmp_path_factory.mktemp("several")
    (made / "lines").mkdir()
    for name, first, rows in (("train", 20, 7), ("valid", 8, 5)):
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines()[first : first + rows]
        if name == "train":  # which both processes must count alike
            lines = [json.dumps(json.loads(line) | {"weight": 0.5 + at}) for at, line in enumerate(lines)]
        (made / "lines" / f"{name}.jsonl").write_text("\n".join(lines) + f"\n{_own_line(made)}\n", "utf-8")
    return made


def _own_line(home: Path) -> str:
    return json.dumps({"text": f"<|im_start|>user\n{home}<|im_end|>\n<|im_start|>assistant\n{home}<|im_end|>"})


def _words(home: Path, name: str, *more: str) -> list[str]:
    uri = f"tracking.uri=sqlite:///{home}/mlflow.db"
    return [*SETTINGS, f"data.path={home}/lines", uri, f"name={name}", *more]


def _signalled(home: Path, name: str, *, rank: int, update: int, number: int) -> list[Ended]:
    """Both processes of a run, one of which gets the signal in an update."""
    return run_several([["-c", CHILD, f"{rank} {update} {int(number)}", *_words(home, name)]] * 2, home)


@pytest.fixture(scope="module")
def alone(home: Path) -> dict[str, mx.array]:
    """What one process learns."""
    run_command("-m", "harness.train", *_words(home, "alone"), folder=home, check=True)
    return _weights(home, _only_run(home, "alone"))


def _store(home: Path) -> Store:
    return open_store(TrackingConfig(uri=f"sqlite:///{home}/mlflow.db"))


def _only_run(home: Path, experiment: str) -> Run:
    store = _store(home)
    (run,) = store.client.search_runs([str(store.find_experiment(experiment))])
    return run


def _weights(home: Path, run: Run) -> dict[str, mx.array]:
    loaded = mx.load(str(home / "runs" / run.info.run_id / "adapters" / "0000004_adapters.safetensors"))
    assert isinstance(loaded, dict)
    return loaded


def _check_equal_but_for_rounding(ours: dict[str, mx.array], theirs: dict[str, mx.array]) -> None:
    assert ours.keys() == theirs.keys()
    for name, one in theirs.items():
        assert mx.linalg.norm(ours[name] - one).item() <= 1e-3 * mx.linalg.norm(one).item(), name


def _losses(home: Path, run: Run) -> list[float]:
    return [point.value for point in _store(home).client.get_metric_history(run.info.run_id, "valid/loss")]


def _check_one_line(ended: Sequence[Ended], said: str) -> None:
    """Of each, beside those that MLX's ring writes itself."""
    for each in ended:
        lines = [line for line in each.stderr.splitlines() if not line.startswith("[ring]")]
        assert each.returncode == 1 and lines[-1].startswith("error: ") and said in lines[-1], each.stderr


def test_two_processes_learn_what_one_does_and_one_of_them_records_it(home: Path, alone: dict[str, mx.array]) -> None:
    first, second = run_several([["-m", "harness.train", *_words(home, "two")]] * 2, home)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert "steps begin at block" in first.stderr, "what the frozen blocks make of the rows was shared out"
    run, single = _only_run(home, "two"), _only_run(home, "alone")
    assert run.info.status == "FINISHED" and run.data.tags["processes"] == "2"
    assert run.data.tags["identity"] == single.data.tags["identity"]
    assert _losses(home, run)[0] == _losses(home, single)[0], "of the same weights, to the last digit"
    _check_equal_but_for_rounding(_weights(home, run), alone)


def test_ctrl_c_of_any_process_ends_all_after_the_update_and_one_process_goes_on(
    home: Path, alone: dict[str, mx.array]
) -> None:
    first, second = _signalled(home, "interrupted", rank=1, update=2, number=signal.SIGINT)
    assert second.returncode == 0 and second.stderr == ""
    assert first.returncode == 130 and "go on with, under mlx.launch as before or alone: python" in first.stderr
    assert _only_run(home, "interrupted").info.status == "KILLED"
    words = _words(home, "interrupted", "train.resume=auto")
    ended = run_command("-m", "harness.train", *words, folder=home, check=True)
    assert "after update 3" in ended.stderr and "trained by 2 processes and goes on with 1" in ended.stderr
    run = _only_run(home, "interrupted")
    assert run.info.status == "FINISHED" and run.data.tags["processes"] == "2, 1"
    _check_equal_but_for_rounding(_weights(home, run), alone)


def test_a_lost_process_ends_the_run_in_a_line_and_two_go_on_with_it(home: Path, alone: dict[str, mx.array]) -> None:
    first, second = _signalled(home, "lost", rank=1, update=3, number=signal.SIGKILL)
    assert second.returncode != 0
    _check_one_line([first], "of the 2 processes that train together all must stay")
    run = _only_run(home, "lost")
    assert run.info.status == "FAILED" and "all must stay" in run.data.tags["failure"]
    assert (home / "runs" / run.info.run_id / run_folder.STATE).exists()
    words = ["-m", "harness.train", *_words(home, "lost", "train.resume=auto")]
    assert [each.returncode for each in run_several([words] * 2, home)] == [0, 0]
    _check_equal_but_for_rounding(_weights(home, _only_run(home, "lost")), alone)


def test_the_others_end_in_a_line_when_the_first_process_is_lost(home: Path) -> None:
    first, second = _signalled(home, "headless", rank=0, update=3, number=signal.SIGKILL)
    assert first.returncode != 0
    _check_one_line([second], "of the 2 processes that train together all must stay")
    assert _only_run(home, "headless").info.status == "RUNNING", "as of any killed run, until somebody looks"


def test_processes_that_read_other_lines_do_not_begin(home: Path) -> None:
    """The second reads from a folder of its own, as on another machine."""
    theirs = home / "1" / "theirs"
    theirs.mkdir(parents=True, exist_ok=True)
    for name in ("train", "valid"):
        lines = (home / "lines" / f"{name}.jsonl").read_text("utf-8")
        (theirs / f"{name}.jsonl").write_text(lines + lines, "utf-8")
    words = ["-m", "harness.train", *_words(home, "unequal")]
    first, second = run_several([words, [*words, "data.path=theirs"]], home)
    assert (second.returncode, second.stderr) == (0, "")
    _check_one_line([first], "all processes must start from the same, but of process 2 of 2 data was ")


def test_what_only_another_process_lacks_is_said_by_the_first(home: Path) -> None:
    words = ["-m", "harness.train", *_words(home, "lacking")]
    first, second = run_several([words, [*words, "data.path=nowhere"]], home)
    assert (second.returncode, second.stderr) == (0, "")
    _check_one_line([first], "process 2 of 2: data.path=nowhere must be a folder")


@pytest.mark.parametrize("words", [["harness.train", "-m", "lora.rank=4,8"], ["harness.runs", "x"]])
def test_what_one_process_does_is_refused_by_one_of_several(words: list[str], tmp_path: Path) -> None:
    first, second = run_several([["-m", *words]] * 2, tmp_path)
    assert (second.returncode, second.stderr) == (0, "")
    _check_one_line([first], "start it without mlx.launch")
