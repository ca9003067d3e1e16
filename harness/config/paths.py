"""Where the checkout and its parts lie. Every default path is absolute, whatever the working directory."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
MLRUNS = ROOT / "mlruns"
