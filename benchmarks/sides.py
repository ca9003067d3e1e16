"""Both sides of a comparison as a user runs them: whole processes, the same model, data and settings.

Both get the same OpenBLAS: ours loads it itself, mlx_lm.lora gets it preloaded.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.machine import blas


@dataclass(frozen=True)
class Settings:
    """What both sides are given. `iters`: updates of one batch each; `mask_prompt`: learn completions only."""

    iters: int
    batch_size: int = 4
    rank: int = 8
    scale: float = 20.0
    num_layers: int = 8
    longest: int = 256
    report: int = 50
    evaluate: int = 50
    learning_rate: float = 1e-5
    mask_prompt: bool = False

    def mlx_lm(self, folder: Path, adapters: Path) -> dict[str, Any]:
        """For mlx_lm.lora; it corrects no bias in Adam by itself, ours does."""
        return {
            "model": str(folder / "model"),
            "data": str(folder / "data"),
            "train": True,
            "iters": self.iters,
            "batch_size": self.batch_size,
            "num_layers": self.num_layers,
            "val_batches": -1,
            "steps_per_report": self.report,
            "steps_per_eval": self.evaluate,
            "save_every": self.evaluate,
            "max_seq_length": self.longest,
            "mask_prompt": self.mask_prompt,
            "learning_rate": self.learning_rate,
            "optimizer": "adam",
            "optimizer_config": {"adam": {"bias_correction": True}},
            "adapter_path": str(adapters),
            "lora_parameters": {"rank": self.rank, "scale": self.scale, "dropout": 0.0},
        }

    def overrides(self, folder: Path) -> list[str]:
        """For harness.train."""
        return [
            f"model.path={folder / 'model'}",
            f"data.path={folder / 'data'}",
            f"tracking.uri=sqlite:///{folder / 'tracking' / 'mlflow.db'}",
            f"train.iters={self.iters}",
            f"train.batch_size={self.batch_size}",
            f"train.max_seq_length={self.longest}",
            f"train.steps_per_report={self.report}",
            f"train.steps_per_eval={self.evaluate}",
            f"train.save_every={self.evaluate}",
            f"train.learning_rate={self.learning_rate!r}",
            f"train.mask_prompt={str(self.mask_prompt).lower()}",
            f"lora.rank={self.rank}",
            f"lora.scale={self.scale!r}",
            f"lora.num_layers={self.num_layers}",
            "experiment=mlx-example",
            "train.valid_rows=null",
            "generate.prompts=[]",
        ]


# mlx_lm.lora, which does not say at its end what MLX held at most
_MLX_LM = """
from mlx_lm.lora import main
main()
import mlx.core as mx
print("MLX held at most", mx.get_peak_memory())
"""


@dataclass(frozen=True)
class Done:
    """`peak_gb`: the most memory that the process held."""

    seconds: float
    peak_gb: float
    out: str

    @property
    def mlx_peak_gb(self) -> float:
        """What MLX counted in a process of run_mlx_lm."""
        return int(self.out.rpartition("MLX held at most ")[2]) / 1e9


def run_mlx_lm(folder: Path, settings: Settings, adapters: Path) -> Done:
    file = folder / "mlx_lm.yaml"
    file.write_text(yaml.safe_dump(settings.mlx_lm(folder, adapters)), encoding="utf-8")
    return _timed([sys.executable, "-c", _MLX_LM, "-c", str(file)], with_blas())


def with_blas() -> dict[str, str]:
    """The environment of a process of stock mlx-lm, which does not load the BLAS by itself."""
    libraries = blas.load().libraries
    return {**os.environ, **({"LD_PRELOAD": ":".join(libraries)} if libraries else {})}


def run_harness(words: Sequence[str]) -> Done:
    return _timed([sys.executable, "-m", "harness.train", *words])


def forget_trunk(folder: Path) -> None:
    """Make the base another one by name, so that what the frozen blocks made of the rows is computed again."""
    (folder / "model" / "benchmark.json").write_text(json.dumps(time.time()), encoding="utf-8")


def reports(folder: Path) -> list[dict[str, Any]]:
    """The reports of all runs under `folder`, oldest first."""
    files = [file for file in (folder / "tracking" / "runs").glob("*/report.json") if not file.parent.is_symlink()]
    return [json.loads(file.read_text("utf-8")) for file in sorted(files, key=lambda file: file.stat().st_mtime)]


def _timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
    start = time.perf_counter()
    surroundings = {**os.environ, **(environment or {}), "COLUMNS": "120"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=surroundings
    ) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{out}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return Done(time.perf_counter() - start, usage.ru_maxrss * unit / 1e9, out)
