"""A small base that writes plain prose: text from a grammar, a tokenizer, training, measures. See README.md here.

Knows nothing of the harness but its BLAS and its files.
"""

from harness.machine import blas

blas.load()  # before mlx
