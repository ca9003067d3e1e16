"""An adapter in PEFT's format, adapter_config.json and adapter_model.safetensors: written from ours and read as ours.

Knows nothing of torch or peft: what it writes is held against them by tests.
"""

from pathlib import Path

from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base


def write_peft(adapter: AdapterFiles, base: Base, folder: Path, *, base_name: str | None = None) -> list[str]:
    """The adapter as PEFT's, for the transformers model of the same weights; returns lines to know of it.

    `folder` is made; `base_name`: what base_model_name_or_path is to say instead of what is known of the base's origin.

    Raises:
        HarnessError: in one line, when this architecture or these layers cannot be said in PEFT's format.
        WriteError: when the folder cannot be written.
    """
    raise NotImplementedError
