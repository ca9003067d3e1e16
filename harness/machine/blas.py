"""A fast BLAS under MLX on Linux.

MLX's Linux wheel links the reference BLAS. The dynamic linker takes the first definition of a symbol,
so an OpenBLAS that is loaded globally before MLX serves MLX's matrix products as well. No import of
mlx here: this must come first (the frame of every command loads it, see console/command.py).
"""

import ctypes
import os
import sys

_LIBRARY = "libopenblas.so.0"


def load() -> bool:
    """Load OpenBLAS once; HARNESS_OPENBLAS=0 leaves it out. Returns whether MLX will use it."""
    if sys.platform != "linux" or os.environ.get("HARNESS_OPENBLAS") == "0":
        return False
    try:
        ctypes.CDLL(_LIBRARY, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def describe() -> str:
    """One line for the log."""
    if sys.platform != "linux":
        return "MLX uses Metal"
    if load():
        return "MLX's matrix products on the CPU go through OpenBLAS"
    return "MLX uses its reference BLAS on the CPU; OpenBLAS makes it many times faster (README, Linux)"
