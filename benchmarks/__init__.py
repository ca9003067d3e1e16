"""Measured against mlx-lm as its users run it; README.md has the figures."""

from harness.machine import blas

blas.load()  # before anything imports mlx
