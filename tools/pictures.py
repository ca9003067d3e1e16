"""The pictures of README and docs, made again: python -m tools.pictures. Needs Chromium.

Knows nothing of what is shown.
A small sweep on the shipped poems in a store of its own; its report, its table in MLflow and its best adapter at four
scales, each as a PNG.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from harness.config.paths import ROOT

PICTURES = ROOT / "docs" / "pictures"
PORT = 8391
SWEEP = ["-m", "lora.rank=4,8,16", "lora.scale=10.0,20.0", "name=poems", "train.iters=75"]
SWEEP += ["train.steps_per_eval=25", "train.save_every=75"]

SCALES = ["adapters=sweeps:/newest", "top=1", "scales=[0,0.5,1,2]", "generate.max_tokens=40"]


def main() -> None:
    browser = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("error: chromium must be on the path; install it (Debian: apt install chromium)")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        _python("-m", "harness.train", *SWEEP, f"tracking.uri={uri}")
        report = Path(folder) / "report.html"
        _python("-m", "harness.report", "--tracking-uri", uri, "--out", str(report))
        _shoot(browser, report.as_uri(), "report.png", 1000, 900)
        sides = Path(folder) / "sides.html"
        _python("-m", "harness.compare", *SCALES, f"out={sides}", f"tracking.uri={uri}")
        _shoot(browser, sides.as_uri(), "scales.png", 1200, 900)
        server = subprocess.Popen(
            [sys.executable, "-m", "harness.ui", "--tracking-uri", uri, "--port", str(PORT)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            link = _link(server)
            _shoot(browser, link, "mlflow.png", 1900, 640)
        finally:
            server.send_signal(signal.SIGINT)  # its own server goes with it
            server.wait()


def _link(server: "subprocess.Popen[str]") -> str:
    """The address of the newest sweep's table, as the command prints it."""
    assert server.stdout is not None
    for line in server.stdout:
        words = line.split()
        found = [word for word in words if word.startswith("http") and "/runs" in word]
        if found:
            _await(found[0].partition("#")[0])
            return found[0]
    sys.exit("error: harness.ui printed no link")


def _await(address: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit(f"error: {address} does not answer")


def _shoot(browser: str, address: str, name: str, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as profile:
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        words += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        words += [f"--user-data-dir={profile}", f"--window-size={width},{height}", "--virtual-time-budget=20000"]
        words += [f"--screenshot={PICTURES / name}", address]
        subprocess.run([browser, *words], check=True, capture_output=True, timeout=120)


def _python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT, env=os.environ | {"COLUMNS": "100"})


if __name__ == "__main__":
    main()
