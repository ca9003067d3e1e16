"""Whole commands in processes of their own, as a user types them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.paths import ROOT
from harness.config.schema import TrackingConfig
from harness.models.base import Base
from harness.tracking.registry import resolve
from harness.tracking.store import Store, open_store
from tests.commands import Start, run_command, start_command
from tests.conftest import QUICK


def run(*arguments: str, cwd: Path, status: int = 0, start: Start = run_command) -> str:
    """stdout of `python -m …`; its exit status is as expected."""
    done = start("-m", *arguments, folder=cwd, environment=os.environ | {"COLUMNS": "200"})
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


class Trained:
    """One sweep and one run alone of the same settings, in a store of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.uri = f"sqlite:///{home / 'mlflow.db'}"
        tracking = f"tracking.uri={self.uri}"
        self.swept = run("harness.train", "-m", "lora.rank=4,8", *QUICK, tracking, "lora.dropout=0.1", cwd=home)
        self.alone_id = run(
            "harness.train",
            *QUICK,
            tracking,
            "lora.rank=8",
            "lora.dropout=0.1",
            "generate.prompts=[河,灯]",
            "train.steps_per_eval=2",
            cwd=home,
        ).strip()

    @property
    def store(self) -> Store:
        return open_store(TrackingConfig(uri=self.uri))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


def _trial_folders(trained: Trained) -> dict[str, Path]:
    """The folders of the sweep's trials by their runs' names."""
    store = trained.store
    found = store.client.search_runs(
        [experiment.experiment_id for experiment in store.client.search_experiments()], "tags.kind = 'trial'"
    )
    return {str(each.info.run_name): store.runs / each.info.run_id for each in found}


def test_a_trials_weights_are_the_bytes_of_the_same_run_alone(trained: Trained) -> None:
    """Alone, that run also validated at other times and wrote other samples."""
    trial = _trial_folders(trained)["rank=8"]
    alone = trained.store.runs / trained.alone_id
    name = "0000006_adapters.safetensors"
    first, second = mx.load(str(trial / "adapters" / name)), mx.load(str(alone / "adapters" / name))
    assert isinstance(first, dict) and isinstance(second, dict)
    assert first.keys() == second.keys()
    assert all(mx.array_equal(first[key], second[key]).item() for key in first)


def test_a_sweep_prints_its_trials_and_the_command_that_shows_them(trained: Trained) -> None:
    assert re.search(r"  rank=4 +\d", trained.swept) and re.search(r"  rank=8 +\d", trained.swept)
    assert "-m harness.ui --tracking-uri sqlite" in trained.swept


def test_trials_are_children_of_their_sweep_in_mlflow(trained: Trained) -> None:
    store = trained.store
    for name, folder in _trial_folders(trained).items():
        trial = store.client.get_run(folder.name)
        parent = store.client.get_run(trial.data.tags["sweep"])
        assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert parent.data.tags["kind"] == "sweep" and parent.info.status == "FINISHED"
        assert trial.data.params["lora.rank"] == name.split("=")[1]


def test_a_run_records_all_that_is_needed_to_repeat_it(trained: Trained) -> None:
    found = trained.store.client.get_run(trained.alone_id)
    params, tags, metrics = found.data.params, found.data.tags, found.data.metrics
    assert (params["lora.rank"], params["lora.scale"], params["lora.alpha"]) == ("8", "20", "160")
    assert params["train.seed"] == "0" and params["model.path"] == "builtin:tiny"
    assert tags["version.mlx"] and tags["device.name"] and tags["base_revision"] and "lora.rank=8" in tags["overrides"]
    assert {
        "valid/loss",
        "valid/perplexity",
        "train/loss",
        "train/tokens_per_second",
        "memory/peak_gb",
    } <= metrics.keys()
    assert found.inputs is not None
    assert sorted(each.dataset.name for each in found.inputs.dataset_inputs) == ["train", "valid"]
    artifacts = {each.path for each in trained.store.client.list_artifacts(trained.alone_id)}
    assert {"config.yaml", "report.json", "loss.png", "samples.json", "samples.jsonl", "log.jsonl"} <= artifacts


def test_the_steps_of_metrics_are_updates_with_one_point_each(trained: Trained) -> None:
    history = trained.store.client.get_metric_history(trained.alone_id, "valid/loss")
    assert [point.step for point in history] == [0, 2, 3, 4, 6]
    assert history[-1].value < history[0].value - 0.05


def test_the_report_holds_the_scores_of_the_run(trained: Trained) -> None:
    report = json.loads((trained.store.runs / trained.alone_id / "report.json").read_text("utf-8"))
    assert [each["step"] for each in report["validations"]] == [0, 2, 3, 4, 6]
    assert [each["theme"] for each in report["samples"]] == ["河", "灯"]
    assert report["data"]["train"]["rows"] == 243 and report["config"]["lora"]["rank"] == 8
    log = (trained.store.runs / trained.alone_id / "log.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line)["event"] for line in log]
    assert events[0] == "started" and events[-1] == "ended" and {"scored", "saved", "trained"} <= set(events)


def test_stock_mlx_lm_generates_with_our_checkpoint(trained: Trained, base: Base) -> None:
    adapters = trained.store.runs / trained.alone_id / "adapters"
    out = run(
        *["mlx_lm", "generate", "--model", str(base.folder), "--adapter-path", str(adapters)],
        *["--prompt", "河", "--max-tokens", "5"],
        cwd=trained.home,
        start=start_command,  # without the harness in the process
    )
    assert "Generation: 5 tokens" in out


def test_stock_mlx_lm_fuses_our_checkpoint(trained: Trained, base: Base, tmp_path: Path) -> None:
    adapters = trained.store.runs / trained.alone_id / "adapters"
    run(
        *["mlx_lm", "fuse", "--model", str(base.folder), "--adapter-path", str(adapters)],
        *["--save-path", str(tmp_path / "fused")],
        cwd=trained.home,
        start=start_command,
    )
    assert (tmp_path / "fused" / "model.safetensors").exists()


def test_stock_mlx_lm_trains_on_the_tiny_base_and_the_shipped_data(base: Base, poems: Path, tmp_path: Path) -> None:
    run(
        *["mlx_lm", "lora", "--model", str(base.folder), "--train", "--data", str(poems), "--iters", "2"],
        *["--num-layers", "2", "--batch-size", "2", "--val-batches", "1", "--adapter-path", str(tmp_path)],
        cwd=tmp_path,
        start=start_command,
    )
    assert (tmp_path / "adapters.safetensors").exists()


def test_promote_then_generate_then_roll_back(trained: Trained, tmp_path: Path) -> None:
    uri = ["--tracking-uri", trained.uri]
    sweep = next(iter(_trial_folders(trained).values())).name
    sweep = trained.store.client.get_run(sweep).data.tags["sweep"]
    few = ["gate.extraction.rows=4", "gate.extraction.tokens=8", "gate.memory.texts=1", "gate.forgetting.tokens=16"]
    first = run("harness.promote", "--sweep", sweep, "--name", "poet", *uri, *few, cwd=tmp_path, start=start_command)
    assert "comparison: passed: better than the bare base by" in first
    assert "models:/poet@champion is now version 1" in first
    assert re.search(r"chosen among \d+ checkpoints of \d runs on the same rows: \d\.\d{4} is left of it", first)
    asked = ["harness.promote", "--run", trained.alone_id, "--name", "poet", *uri, *few]
    refused = run(*asked, "gate.min_absolute_change=9", cwd=tmp_path, status=1)
    assert "error: not promoted: comparison: " in refused and "models:/poet@champion stays version 1" in refused
    second = run(*asked, "--force", "it is to write", cwd=tmp_path)
    assert "back with: python -m harness.promote --name poet --version 1" in second
    (tmp_path / "words.txt").write_text("河\n海\n", encoding="utf-8")
    arguments = ["adapters=models:/poet@champion", "generate.max_tokens=5", f"tracking.uri={trained.uri}"]
    shown = run("harness.generate", *arguments, "themes=words.txt", cwd=tmp_path, start=start_command)
    assert "── 河" in shown and "── 海" in shown
    run("harness.generate", *arguments, "themes=words.txt", "out=samples.jsonl", cwd=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [line["theme"] for line in lines] == ["河", "海"]
    assert {line["run"] for line in lines} == {trained.alone_id}
    assert lines[0]["iteration"] in (2, 3, 4, 6)
    folder = resolve(trained.store, "models:/poet@champion")
    assert {path.name for path in folder.iterdir()} == {"adapters.safetensors", "adapter_config.json", "config.yaml"}
    back = run("harness.promote", "--name", "poet", "--version", "1", *uri, cwd=tmp_path)
    assert "models:/poet@champion is now version 1" in back
    history = run("harness.promote", "--name", "poet", "--history", *uri, cwd=tmp_path)
    assert "it is to write" in history and history.index("gate") < history.index("force") < history.index("roll-back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.jsonl", "words.txt"]


def test_every_kind_of_adapter_reference_writes_the_same(trained: Trained, tmp_path: Path) -> None:
    adapters = trained.store.runs / trained.alone_id / "adapters"
    best = (adapters / "adapters.safetensors").resolve()
    shared = ["theme=河", "generate.max_tokens=5", f"tracking.uri={trained.uri}"]
    texts = {
        run("harness.generate", f"adapters={reference}", *shared, cwd=tmp_path)
        for reference in (adapters, best, f"runs:/{trained.alone_id}")
    }
    assert len(texts) == 1


def test_keep_leaves_the_last_and_the_best(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    quick = [*QUICK, "train.save_every=1", "train.steps_per_eval=1", "train.keep=2", f"tracking.uri={uri}"]
    run_id = run("harness.train", *quick, "generate.prompts=[]", cwd=tmp_path).strip()
    store = open_store(TrackingConfig(uri=uri))
    adapters = store.runs / run_id / "adapters"
    kept = {path.name for path in adapters.glob("0*")}
    best = (adapters / "adapters.safetensors").resolve().name
    assert kept == {"0000005_adapters.safetensors", "0000006_adapters.safetensors", best}
    models = store.client.search_logged_models([store.experiment_id("poems")])
    assert {f"{int(model.tags['step']):07d}_adapters.safetensors" for model in models} == kept


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["harness.train", "lora.rnk=4"], "error: lora.rnk is not a setting; did you mean lora.rank?"),
        (["harness.train", "-m", "lora.rank=4,0"], "error: lora.rank must be at least 1, but got 0"),
        (["harness.train", "-m", "lora.rank=4"], "error: -m needs something to vary"),
        (["harness.train", "data.path=nowhere"], "error: data.path=nowhere must be a folder"),
        (["harness.generate", "theme=河"], "error: give adapters=…, or model=…"),
        (["harness.generate", "model=tiny", "theme=河", "generate.scale=0.5"], "needs an adapter to scale"),
        (["harness.generate", "adapters=nowhere", "theme=河"], "error: adapter nowhere must be a folder"),
        (["harness.generate", "adapters=x", "theme=河", "themes=y"], "error: give theme or themes, not both"),
        (["harness.generate", "adapters=x", "theme=a", "out=no/s.jsonl"], "must be in a folder that exists"),
        (["harness.generate", "model=tiny", "theme=河", "variants=bse"], "error: variants=bse must be all, or of base"),
        (["harness.generate", "adapters=sweeps:/x", "theme=河"], "error: run x is not in"),
        (["harness.judge"], "error: samples must be given; say samples=…"),
        (["harness.judge", "samples=no.jsonl"], "error: samples=no.jsonl is not there"),
        (["harness.compare", "model=tiny", "theme=河"], "error: compare needs two adapters or scales"),
        (["harness.compare", "model=tiny", "theme=河", "out=x.txt"], "error: out=x.txt must end in .html"),
        (["harness.prepare", "source.path=nowhere.json"], "error: source.path=nowhere.json is not there"),
        (["harness.promote", "--run", "x", "--sweep", "y"], "error: give one of --experiment, --sweep and --run"),
        (["harness.promote", "--version", "1"], "error: --version needs --name"),
        (["harness.promote", "--run", "x"], "error: run x is not in"),
        (["harness.promote", "gate.min_sigm=2"], "error: gate.min_sigm is not a setting; did you mean gate.min_sigma?"),
        (["harness.promote", "gate.min_sigma=-1"], "error: gate.min_sigma must be at least 0, but got -1"),
        (["harness.promote", "gate=strict"], "error: gate=strict is not there; conf/gate has default"),
        (["harness.promote", "lora.rank=4"], "error: lora.rank has no effect on this command, only on training"),
        (["harness.promote", "poems"], "error: poems must be a setting, name=value"),
        (["harness.promote", "--force", ""], "error: --force needs a reason"),
        (["harness.promote", "--name", "a", "--version", "1", "--force", "b"], "error: --version asks no gate"),
        (["harness.promote", "--name", "nobody", "--history"], "error: nobody is not in"),
        (["harness.promote", "--alias", "latest"], "error: --alias=latest is one that MLflow keeps for itself"),
        (["harness.ui", "--tracking-uri", "nonsense"], "must be a URI such as"),
    ],
)
def test_a_careless_command_ends_in_one_line(
    arguments: list[str], complaint: str, trained: Trained, tmp_path: Path
) -> None:
    if arguments[0] == "harness.promote":
        arguments = [*arguments, "--tracking-uri", trained.uri]
    elif arguments[0] in ("harness.train", "harness.generate"):
        arguments = [*arguments, f"tracking.uri={trained.uri}"]
    said = run(*arguments, cwd=tmp_path, status=1)
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and complaint in errors[0]
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_fails_costs_only_itself(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    words = ["-m", "harness.train", "-m", "lora.num_layers=2,99", *QUICK[:-1], f"tracking.uri={uri}"]
    swept = run_command(*words, "sweep.workers=0", folder=tmp_path)
    assert swept.returncode == 0
    assert "trial 2 failed: lora.num_layers must be 1 to 8 for builtin:tiny" in swept.stderr
    assert re.search(r"  num_layers=2 +\d", swept.stdout) and re.search(r"  num_layers=99 .*FAILED", swept.stdout)
    store = open_store(TrackingConfig(uri=uri))
    (failed,) = store.client.search_runs([store.experiment_id("poems")], "attributes.status = 'FAILED'")
    assert failed.data.tags["failure"].startswith("lora.num_layers must be 1 to 8") and failed.data.tags["trial"] == "1"


def test_ctrl_c_ends_a_run_as_killed_with_its_checkpoints_kept(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    command = [sys.executable, "-m", "harness.train", *QUICK, "train.iters=100000", "train.warmup=0"]
    process = subprocess.Popen(
        [*command, f"tracking.uri={uri}"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/adapters/0000009_adapters.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "interrupted" in said and "Traceback" not in said
    (folder,) = (tmp_path / "runs").iterdir()
    run_info = open_store(TrackingConfig(uri=uri)).client.get_run(folder.name)
    assert (run_info.info.status, run_info.data.tags["failure"]) == ("KILLED", "interrupted from the keyboard")
    assert mx.load(str(folder / "adapters" / "adapters.safetensors"))


def test_nothing_is_written_into_the_checkout_root() -> None:
    untracked = subprocess.run(
        ["git", "ls-files", "--others", "--directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    unexpected = [line for line in untracked if re.match(r"(outputs|multirun|mlflow\.db|\.hydra)", line)]
    assert unexpected == []
