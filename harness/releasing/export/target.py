"""The targets of an export, as the command line names them. Imports nothing, so that --help stays quick."""

from enum import StrEnum


class Target(StrEnum):
    PEFT = "peft"
    FUSED = "fused"
    GGUF = "gguf"
    MLX = "mlx"
    OLLAMA = "ollama"
    LMSTUDIO = "lmstudio"
