"""What a run ran on: device and versions, for its record."""

import platform
from importlib.metadata import version

import mlx.core as mx

_PACKAGES = ("mlx", "mlx-lm", "transformers", "hydra-core", "optuna", "mlflow", "numpy")


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def device() -> dict[str, str]:
    """`name`: the chip; `memory_gb`: what MLX sees, where it sees any."""
    info = mx.device_info()
    memory = info.get("memory_size")
    return {
        "name": str(info.get("device_name") or platform.processor() or platform.machine()),
        "backend": str(mx.default_device()),
        "memory_gb": f"{int(memory) / 1e9:.1f}" if memory else "",
        "system": platform.platform(terse=True),
    }
