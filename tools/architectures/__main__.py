"""`python -m tools.architectures`: see command.py."""

from harness.machine import blas

if __name__ == "__main__":
    blas.load()  # before anything imports mlx
    from tools.architectures.command import main

    main(prog_name="python -m tools.architectures")
