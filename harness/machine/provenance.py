"""What a run was made with: versions of the packages, state of the checkout. Knows nothing of the run."""

import platform
import subprocess
from importlib.metadata import version

from harness.config.paths import ROOT

_PACKAGES = ("mlx", "mlx-lm", "transformers", "hydra-core", "optuna", "mlflow", "numpy")


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def git_state() -> dict[str, str]:
    """The checkout's commit, and whether anything in it was changed; nothing outside a git checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {
            "mlflow.source.git.commit": commit,
            "git.clean": str(not _git("status", "--porcelain")).lower(),
        }
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
