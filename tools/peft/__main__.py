"""`python -m tools.peft`: see command.py."""

import os

from harness.machine import blas

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here is large enough for two
    os.environ["HF_HUB_OFFLINE"] = "1"
    blas.load()  # before anything imports mlx
    from tools.peft.command import main

    main(prog_name="python -m tools.peft")
