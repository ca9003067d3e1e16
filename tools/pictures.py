"""The pictures of README and docs, made again: python -m tools.pictures. Needs Chromium.

Knows nothing of what is shown.
A small sweep on the shipped poems in a store of its own; its report, its table in MLflow and its best adapter at four
scales; the review page with the shipped poems, each as a PNG.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

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
        _review(browser, Path(folder))


def _review(browser: str, folder: Path) -> None:
    """The page with a text in the light, and with an edit in the dark."""
    poems = json.loads((ROOT / "data" / "poems-en.json").read_text("utf-8"))
    texts = [[poem.get("title") or poem["theme"], poem["body"]] for poem in poems]
    shown = sorted(texts, key=lambda pair: pair[0] != "piano")  # stanzas, and lines of several lengths
    (folder / "poems.json").write_text(json.dumps([shown]), encoding="utf-8")
    words = ["--order", "file", "--reviewer", "ada", "--port", str(PORT)]
    command = [sys.executable, "-m", "harness.review", str(folder / "poems.json"), *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{PORT}/"
        _await(address)
        with sync_playwright() as playwright:
            opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
            _shoot_review(opened, address)
            opened.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate()


def _shoot_review(browser: Browser, address: str) -> None:
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": 1000, "height": 700}, color_scheme=scheme)
        page.goto(address)
        page.wait_for_selector("body[data-phase=ready]")
        if scheme == "dark":
            page.keyboard.press("e")
            text = page.input_value("#box").replace("came by bus", "came on foot").replace(" regardless", "")
            page.fill("#box", text)
            page.wait_for_selector("#changes ins")
        page.screenshot(path=PICTURES / f"review-{scheme}.png")


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
