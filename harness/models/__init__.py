"""The frozen base and the adapters on it. Importing this package loads OpenBLAS, where there is one, before MLX."""

from harness.models import blas

blas.load()
