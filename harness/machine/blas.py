"""A fast BLAS under MLX on Linux.

MLX's Linux wheel links the reference BLAS. The dynamic linker takes the first definition of a symbol, so a library
that is loaded globally before MLX serves MLX's matrix products as well. SciPy's wheel brings an OpenBLAS whose names
begin with `scipy_`: a few lines of C, compiled once, give it the names that MLX calls. Where that cannot be, the
system's OpenBLAS serves, or the reference. No import of mlx here: this must come first (the frame of every command
loads it, see console/command.py). Knows nothing of runs.
"""

import ctypes
import functools
import importlib.util
import math
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.config.paths import MLRUNS
from harness.errors import HarnessError, reason
from harness.files import write_whole

_SYSTEM = "libopenblas.so.0"
_COMPILER = "g++"  # MLX's CPU backend calls it too
_COMPILE_SECONDS = 60
# 2 to the power of how many cycles a thread of OpenBLAS waits for work before it sleeps. Its own default, 26, keeps
# other processes from the cores: with four of them on two cores updates of a small model took seven times as long.
_SPIN = "16"
_INTEGERS = ", ".join(f"int {name}" for name in ("order", "ta", "tb", "m", "n", "k"))


class Kind(StrEnum):
    """Whose products MLX uses on the CPU; what a run's tag `device.blas` says."""

    METAL = "metal"
    SCIPY = "scipy"
    SYSTEM = "system"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Blas:
    """`libraries`: files that were loaded, in order; `why`: what kept SciPy's from being used."""

    kind: Kind
    libraries: tuple[str, ...] = ()
    why: str | None = None

    @property
    def words(self) -> str:
        """One line for the log."""
        left_out = "" if self.why is None else f" (not SciPy's: {self.why})"
        match self.kind:
            case Kind.METAL:
                return "MLX uses Metal"
            case Kind.SCIPY:
                return "MLX's matrix products on the CPU go through SciPy's OpenBLAS"
            case Kind.SYSTEM:
                return f"MLX's matrix products on the CPU go through the system's OpenBLAS{left_out}"
            case Kind.REFERENCE:
                return f"MLX uses its reference BLAS on the CPU, many times slower (docs/linux.md){left_out}"


@functools.cache
def load(cache: Path = MLRUNS / "cache") -> Blas:
    """Load the best BLAS that is there, once a process. HARNESS_OPENBLAS names one: scipy, system, or 0 for none."""
    if sys.platform != "linux":
        return Blas(Kind.METAL)
    wanted = os.environ.get("HARNESS_OPENBLAS")
    if wanted == "0":
        return Blas(Kind.REFERENCE, why="HARNESS_OPENBLAS=0")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _SPIN)
    why = f"HARNESS_OPENBLAS={wanted}"
    if wanted != Kind.SYSTEM:
        try:
            return Blas(Kind.SCIPY, _load_scipys(cache))
        except (HarnessError, OSError) as error:
            why = reason(error)
    if wanted != Kind.SCIPY:
        try:
            ctypes.CDLL(_SYSTEM, mode=ctypes.RTLD_GLOBAL)
            return Blas(Kind.SYSTEM, (_SYSTEM,), why)
        except OSError:
            why += f"; {_SYSTEM} is not installed"
    return Blas(Kind.REFERENCE, why=why)


def _load_scipys(cache: Path) -> tuple[str, ...]:
    openblas = _scipys_library()
    ctypes.CDLL(str(openblas), mode=ctypes.RTLD_GLOBAL)  # the shim finds scipy_… in what is loaded globally
    shim = compiled_shim(openblas, cache)
    try:
        check_products(ctypes.CDLL(str(shim), mode=ctypes.RTLD_LOCAL))
    except OSError:  # damaged
        shim.unlink()
        check_products(ctypes.CDLL(str(compiled_shim(openblas, cache)), mode=ctypes.RTLD_LOCAL))
    ctypes.CDLL(str(shim), mode=ctypes.RTLD_GLOBAL)
    return str(openblas), str(shim)


def _scipys_library() -> Path:
    scipy = importlib.util.find_spec("scipy")  # imports nothing
    if scipy is None or scipy.origin is None:
        raise HarnessError("SciPy is not installed")
    folder = Path(scipy.origin).parents[1] / "scipy.libs"
    found = sorted(folder.glob("libscipy_openblas-*.so"))
    if len(found) != 1:
        raise HarnessError(f"SciPy's wheel brings {len(found)} libraries named libscipy_openblas-*.so, and not one")
    return found[0]


def compiled_shim(openblas: Path, cache: Path) -> Path:
    """The library that defines cblas_?gemm by scipy_cblas_?gemm, compiled if `cache` does not hold it yet.

    Raises:
        HarnessError: without a compiler, or when it fails.
    """
    source = _source()
    built_by = sha256(source.encode()).hexdigest()[:8]
    shim = cache / f"blas-{openblas.stem}-{platform.machine()}-{built_by}.so"
    if not shim.exists():
        write_whole(shim, lambda temporary: _compile(source, temporary))
    return shim


def _compile(source: str, to: Path) -> None:
    command = [_COMPILER, "-x", "c", "-O2", "-shared", "-fPIC", "-o", str(to), "-"]
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, timeout=_COMPILE_SECONDS)
    except FileNotFoundError:
        raise HarnessError(f"there is no compiler {_COMPILER} to give it the names that MLX calls") from None
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{_COMPILER} did not end within {_COMPILE_SECONDS} s") from None
    if done.returncode:
        raise HarnessError(f"{_COMPILER} failed: {(done.stderr.strip().splitlines() or ['it does not say why'])[0]}")


def _source() -> str:
    return "".join(_forward(*letter_and_types) for letter_and_types in _PRODUCTS)


# letter, C type of alpha and beta, of the matrices: all that MLX calls of BLAS
_PRODUCTS = [("s", "float", "float"), ("d", "double", "double"), ("c", "const void *", "void")]


def _forward(letter: str, scalar: str, item: str) -> str:
    parameters = (
        f"{_INTEGERS}, {scalar} alpha, const {item} *a, int lda, const {item} *b, int ldb, {scalar} beta, "
        f"{item} *c, int ldc"
    )
    return (
        f"void scipy_cblas_{letter}gemm({parameters});\n"
        f"void cblas_{letter}gemm({parameters}) {{\n"
        f"  scipy_cblas_{letter}gemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);\n"
        "}\n"
    )


def check_products(library: ctypes.CDLL) -> None:
    """Compare a product of each kind with what it must be: 2 × 3 by the transpose of 4 × 3, rows first.

    Raises:
        HarnessError: when one differs.
    """
    a, b = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [float(value) for value in range(12)]
    expected = [sum(a[3 * i + k] * b[3 * j + k] for k in range(3)) for i in range(2) for j in range(4)]
    for letter, real, parts in (("s", ctypes.c_float, 1), ("d", ctypes.c_double, 1), ("c", ctypes.c_float, 2)):
        product = _product(getattr(library, f"cblas_{letter}gemm"), real, parts, a, b)
        if product != expected:
            raise HarnessError(f"a product by cblas_{letter}gemm must be {expected}, but is {product}")


_ROWS_FIRST, _AS_IT_IS, _TRANSPOSED = 101, 111, 112  # CBLAS's own numbers


def _product(gemm: Any, real: Any, parts: int, a: list[float], b: list[float]) -> list[float]:
    """The 2 × 4 numbers. `parts`: 2 for complex numbers, which are given without imaginary parts."""

    def numbers(*values: float) -> Any:
        flat = [value if part == 0 else 0.0 for value in values for part in range(parts)]
        return (real * len(flat))(*flat)

    one, zero = (numbers(1.0), numbers(0.0)) if parts == 2 else (real(1.0), real(0.0))
    c = numbers(*[math.nan] * 8)  # beta is 0, so nothing of it may stay
    gemm(_ROWS_FIRST, _AS_IT_IS, _TRANSPOSED, 2, 4, 3, one, numbers(*a), 3, numbers(*b), 3, zero, c, 4)
    return list(c)[::parts]
