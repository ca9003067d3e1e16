"""MLX's matrix products on Linux's CPU go through SciPy's OpenBLAS, and where that cannot be, one line says so."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from scipy.linalg.blas import cgemm, sgemm

from harness.errors import HarnessError
from harness.machine import blas
from harness.machine.blas import Kind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MLX brings its own products")

SAY = """
import sys
from pathlib import Path
from harness.machine import blas
loaded = blas.load(Path(sys.argv[1]))
print(loaded.kind, loaded.words, sep="|")
"""


def _kind_and_words(cache: Path, **environment: str) -> tuple[str, str]:
    """What a process of its own says, with `cache` for what it compiles."""
    done = subprocess.run(
        [sys.executable, "-c", SAY, str(cache)], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    kind, _, words = done.stdout.strip().partition("|")
    return kind, words


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the library in it."""
    folder = tmp_path_factory.mktemp("cache")
    assert _kind_and_words(folder, HARNESS_OPENBLAS="")[0] == Kind.SCIPY
    return folder


def test_mlx_multiplies_with_scipys_openblas() -> None:
    if blas.load().kind is not Kind.SCIPY:
        pytest.skip(blas.load().words)
    draw = np.random.default_rng(0).standard_normal
    for shape in ((33, 70, 51), (128, 256, 64)):
        a, b = draw(shape[:2]).astype(np.float32), draw(shape[1:]).astype(np.float32)
        # row by row a @ b is, column by column, b.T @ a.T
        assert np.array_equal(np.array(mx.array(a) @ mx.array(b)), sgemm(1.0, b.T, a.T).T)
        both = (mx.array(a + 1j * a) @ mx.array(b - 1j * b)).astype(mx.complex64)
        assert np.allclose(np.array(both), cgemm(1.0, a + 1j * a, b - 1j * b), atol=1e-3)


def test_it_is_compiled_once_and_named_after_scipys_file(cache: Path) -> None:
    (name,) = _files(cache)
    assert name.startswith("blas-libscipy_openblas-") and name.endswith(".so")
    written = (cache / name).stat()
    assert _kind_and_words(cache, PATH="") == (Kind.SCIPY, blas.Blas(Kind.SCIPY).words), "no compiler is needed now"
    assert (cache / name).stat().st_mtime_ns == written.st_mtime_ns


def test_without_a_compiler_another_serves_and_one_line_says_why(tmp_path: Path) -> None:
    kind, words = _kind_and_words(tmp_path, PATH="", HARNESS_OPENBLAS="scipy")
    assert kind == Kind.REFERENCE
    assert words.endswith("(not SciPy's: there is no compiler g++ to give it the names that MLX calls)")
    assert _files(tmp_path) == []
    kind, words = _kind_and_words(tmp_path, PATH="", HARNESS_OPENBLAS="")
    assert kind in (Kind.SYSTEM, Kind.REFERENCE) and "there is no compiler g++" in words


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    compiler = tmp_path / "bin" / "g++"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho cannot execute cc1 >&2\nexit 1\n", encoding="utf-8")
    compiler.chmod(0o755)
    _, words = _kind_and_words(tmp_path / "cache", PATH=f"{compiler.parent}:/bin", HARNESS_OPENBLAS="scipy")
    assert "(not SciPy's: g++ failed: cannot execute cc1)" in words
    assert _files(tmp_path / "cache") == []


def test_a_folder_that_cannot_hold_it_does_not_end_the_command(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    kind, words = _kind_and_words(tmp_path / "cache", HARNESS_OPENBLAS="scipy")
    assert kind == Kind.REFERENCE and "(not SciPy's: " in words and str(tmp_path) in words


def test_a_damaged_library_is_compiled_again(cache: Path, tmp_path: Path) -> None:
    (name,) = _files(cache)
    (tmp_path / name).write_bytes(b"\0" * 1000)
    kind, words = _kind_and_words(tmp_path, HARNESS_OPENBLAS="scipy")
    assert kind == Kind.SCIPY, words
    assert (tmp_path / name).read_bytes()[:4] == b"\x7fELF"


def test_a_library_whose_product_is_wrong_is_refused(tmp_path: Path) -> None:
    source = "void cblas_sgemm(int o, int ta, int tb, int m, int n, int k, float s, float *a, int la, float *b, int lb,"
    source += " float t, float *c, int lc) { for (int i = 0; i < m * n; i++) c[i] = 1; }"
    wrong = tmp_path / "wrong.so"
    subprocess.run(["g++", "-x", "c", "-shared", "-fPIC", "-o", str(wrong), "-"], input=source, text=True, check=True)
    with pytest.raises(HarnessError, match=r"a product by cblas_sgemm must be \[8.0, .*\], but is \[1.0, "):
        blas.check_products(ctypes.CDLL(str(wrong)))


@pytest.mark.parametrize(("value", "kind"), [("0", Kind.REFERENCE), ("scipy", Kind.SCIPY)])
def test_the_environment_chooses_one(cache: Path, value: str, kind: Kind) -> None:
    assert _kind_and_words(cache, HARNESS_OPENBLAS=value)[0] == kind
