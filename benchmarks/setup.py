"""What a new user waits for: installation, the demo, products, the first updates. python -m benchmarks.setup

Copies of what git tracks are set up without uv and shown without the system's OpenBLAS, as on a bare machine; then
products by each BLAS, and updates of a process with and without compiled kernels, where none is kept from before. Of
all of it medians, each round with folders of its own. Needs what pip needs to install, and g++.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import mlx.core as mx
from hydra import compose, initialize_config_dir

from benchmarks.prediction import Silent
from harness.config.load import from_hydra
from harness.config.paths import CONF, ROOT
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.machine import blas
from harness.models.adapter import attached
from harness.run.inputs import gather_inputs
from harness.run.session import Session
from harness.tracking.store import open_store
from harness.tuning.loop import train
from harness.tuning.meter import Window

_SIZES = (64, 256, 512)


@click.command()
@click.option("--repeats", default=3, show_default=True, help="Rounds; medians are printed.")
@click.option("--install/--no-install", default=True, show_default=True, help="Into a copy, and show the demo there.")
@click.option("--products", is_flag=True, hidden=True, help="In this process, by HARNESS_OPENBLAS.")
@click.option("--updates", type=click.Choice(["compiled", "plain"]), hidden=True, help="In this process.")
def main(repeats: int, install: bool, products: bool, updates: str | None) -> None:
    """Print seconds and GFLOPS, and what each needs."""
    if products:
        print(*measure_products())
    elif updates is not None:
        print(*measure_updates(compiled=updates == "compiled"))
    else:
        print(f"{os.cpu_count()} cores; medians of {repeats}")
        if install:
            _print_installation(repeats)
        _print_products(repeats)
        _print_updates(repeats)


def measure_products() -> Iterator[float]:
    """GFLOPS of f32 products of square matrices, by size."""
    for size in _SIZES:
        a, b = mx.random.normal((size, size)), mx.random.normal((size, size))
        mx.eval(a, b, a @ b)
        seconds = []
        for _ in range(20):
            start = time.perf_counter()
            mx.eval(a @ b)
            seconds.append(time.perf_counter() - start)
        yield 2 * size**3 / statistics.median(seconds) / 1e9


class _Windows(Silent):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_window(self, window: Window) -> None:
        self.seconds.append(window.seconds)


def measure_updates(*, compiled: bool) -> list[float]:
    """Seconds of the first ten updates on the base of a bare run, and of the next ten; validation left out."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = [
            f"train.{name}" for name in ("iters=20", "steps_per_report=10", "steps_per_eval=20", "save_every=20")
        ]
        config = from_hydra(compose("config", overrides), Config)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db"))
        inputs = gather_inputs(config, Session(store, Display()))
    inputs.base.materialize()
    if not compiled:
        mx.disable_compile()
    windows = _Windows()
    with attached(inputs.base.model, inputs.spec, seed=0):
        train(inputs.base.model, inputs.train, inputs.valid, config.train, windows)
    return windows.seconds


def _print_installation(repeats: int) -> None:
    rounds = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as scratch:
            rounds.append(_install(Path(scratch) / "checkout"))
    for target in rounds[0]:
        every = [each[target] for each in rounds]
        print(f"make {target:16} {statistics.median(every):6.1f} s ({min(every):.1f} to {max(every):.1f})")


def _install(checkout: Path) -> dict[str, float]:
    """Seconds of each step in a new copy, by its name."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in tracked.decode().rstrip("\0").split("\0"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name, follow_symlinks=False)
    without_uv = [each for each in os.environ["PATH"].split(":") if not (Path(each) / "uv").exists()]
    bare = {"PATH": ":".join(without_uv), "HARNESS_OPENBLAS": "scipy", "TMPDIR": str(checkout.parent)}
    seconds = {}
    for target in ("env", "demo"):
        start = time.perf_counter()
        _run(["make", target, f"PYTHON={sys.base_prefix}/bin/python3"], bare, cwd=checkout)
        seconds[target] = time.perf_counter() - start
    return seconds


def _print_products(repeats: int) -> None:
    print(f"\n{'GFLOPS, f32':22}" + "".join(f"{f'{size} × {size}':>14}" for size in _SIZES))
    for kind in (blas.Kind.SCIPY, blas.Kind.SYSTEM, blas.Kind.REFERENCE):
        chosen = {"HARNESS_OPENBLAS": "0" if kind is blas.Kind.REFERENCE else str(kind)}
        print(f"{kind:22}" + "".join(f"{value:14.1f}" for value in _medians(["--products"], chosen, repeats)))


def _print_updates(repeats: int) -> None:
    print(f"\n{'updates, s':22}{'first 10':>14}{'next 10':>14}")
    for kind in ("compiled", "plain"):
        first, again = [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as kernels:  # where MLX keeps what it compiled
                first.append(_numbers(["--updates", kind], {"TMPDIR": kernels}))
                again.append(_numbers(["--updates", kind], {"TMPDIR": kernels}))
        for when, every in (("none kept", first), ("later", again)):
            print(f"{f'{kind}, {when}':22}" + "".join(f"{value:14.2f}" for value in _columns(every)))


def _medians(words: list[str], environment: dict[str, str], repeats: int) -> list[float]:
    return _columns([_numbers(words, environment) for _ in range(repeats)])


def _columns(every: list[list[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*every, strict=True)]


def _numbers(words: list[str], environment: dict[str, str]) -> list[float]:
    """What this program prints in another process."""
    command = [sys.executable, "-m", "benchmarks.setup", *words]
    return [float(word) for word in _run(command, environment, cwd=ROOT).split()]


def _run(command: list[str], environment: dict[str, str], *, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.setup")
