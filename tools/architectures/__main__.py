"""`python -m tools.architectures`: see command.py."""

import os

from harness.machine import blas

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here is large enough for two
    blas.load()  # before anything imports mlx
    from tools.architectures.command import main

    main(prog_name="python -m tools.architectures")
