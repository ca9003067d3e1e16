"""What a run runs on: device and memory."""

import gc
import platform
from dataclasses import dataclass

import mlx.core as mx
import psutil

from harness.machine import blas

# by which MLX's backends name what the device has: Metal, then CUDA
_SIZES = ("max_recommended_working_set_size", "total_memory", "memory_size")


def device() -> dict[str, str]:
    """`name`: the chip; `memory_gb`: what MLX may use; `blas`: whose products it uses on the CPU."""
    info = mx.device_info()
    return {
        "name": str(info.get("device_name") or platform.processor() or platform.machine()),
        "backend": str(mx.default_device()),
        "blas": str(blas.load().kind),
        "memory_gb": f"{device_memory() / 1e9:.1f}",
        "system": platform.platform(terse=True),
    }


@dataclass(frozen=True)
class MemoryUse:
    """In GB. `active`, `cache` and `peak` as MLX counts them; `process` and `available` as the system does."""

    active: float
    cache: float
    peak: float
    process: float
    available: float


def memory_use() -> MemoryUse:
    return MemoryUse(
        active=mx.get_active_memory() / 1e9,
        cache=mx.get_cache_memory() / 1e9,
        peak=mx.get_peak_memory() / 1e9,
        process=psutil.Process().memory_info().rss / 1e9,
        available=psutil.virtual_memory().available / 1e9,
    )


def freeze_libraries() -> None:
    """Spare the collections between phases the libraries' million objects: a hundredth of the time is left.

    To be called when they are imported; what else is there then is not collected either, until the process ends. So it
    is done once: what a run holds as another one begins in the same process is to be collected when it is let go of.
    """
    if gc.get_freeze_count():
        return
    if mx.get_active_memory():  # or arrays that wait for a collection would be kept for good
        gc.collect()
    gc.freeze()


def device_memory() -> int:
    """Bytes that MLX may use: what Metal recommends of a Mac's memory, a GPU's own, else the computer's."""
    info = mx.device_info()
    found = next((int(info[name]) for name in _SIZES if info.get(name)), 0)
    return found or int(psutil.virtual_memory().total)


def free_memory() -> int:
    """Bytes that a run could take now: what MLX holds already, and what other programs leave.

    On a GPU with memory of its own that is all of it: what others take there is not known.
    """
    if "total_memory" in mx.device_info():
        return device_memory()
    return int(psutil.virtual_memory().available) + mx.get_active_memory() + mx.get_cache_memory()


def begin_phase() -> None:
    """Give back what the phase before needed and this one does not, and count the peak anew."""
    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
