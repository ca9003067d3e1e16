"""An adapter in PEFT's format as peft itself reads it: onto transformers' model, where the two are installed.

Both are PyTorch's, which nothing else of the harness needs. On the CPU, in float32. Knows nothing of how it is written.
"""

import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Row
from harness.errors import HarnessError, reason
from harness.models.base import Base
from harness.models.stock import is_quantized

_NEEDED = ("peft", "torch", "transformers")
_LARGEST = 4e9  # bytes of a base that is loaded a second time, in float32


def why_not(base: Base) -> str | None:
    """Why peft is not asked here; None where it can be."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        return f"not installed here: {', '.join(missing)}"
    if is_quantized(base):
        return "peft needs the base as it was before it was quantized"
    size = sum(file.stat().st_size for file in base.folder.glob("model*.safetensors"))
    return "the base is too large to be loaded twice" if size > _LARGEST else None


class NotForTransformersError(HarnessError):
    """The base's files are not what transformers reads, so that nothing can be said of an adapter on it."""


class OfPeft:
    """The adapter in `folder` on `base`.

    Raises:
        NotForTransformersError: when transformers does not take the base, as one in mlx-lm's layout.
        HarnessError: when peft does not take the adapter.
    """

    def __init__(self, folder: Path, base: Base) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs of one another
            self._load(folder, base)
        self._end_ids = sorted(base.tokenizer.end_ids)

    def _load(self, folder: Path, base: Base) -> None:
        self._torch: Any = import_module("torch")
        transformers: Any = import_module("transformers")
        peft: Any = import_module("peft")
        transformers.logging.disable_progress_bar()
        transformers.logging.set_verbosity_error()  # it has a table of what it does not find
        try:
            model, found = transformers.AutoModelForCausalLM.from_pretrained(
                str(base.folder), dtype=self._torch.float32, output_loading_info=True
            )
        except Exception as error:  # those of two libraries
            raise NotForTransformersError(f"transformers does not load the base: {reason(error)}") from error
        if missing := sorted(found["missing_keys"]):
            raise NotForTransformersError(f"transformers does not find {missing[0]} in the base, as mlx-lm laid it out")
        try:
            self._model: Any = peft.PeftModel.from_pretrained(model, str(folder)).eval()
        except Exception as error:  # those of two libraries
            raise HarnessError(f"peft does not load what was written: {reason(error)}") from error

    def loss(self, row: Row) -> float:
        """Nats of the row's learned tokens."""
        torch = self._torch
        with torch.no_grad():
            logits = self._model(torch.tensor(row.tokens[None, :-1].astype(np.int64))).logits[0].float()
            logs = torch.log_softmax(logits, dim=-1).numpy()
        targets = row.tokens[1:]
        return float(-logs[np.arange(len(targets)), targets][row.learn[1:]].astype(np.float64).sum())

    def write(self, ids: list[int], max_tokens: int) -> list[int]:
        """The greedy tokens after a prompt, without the end mark."""
        torch = self._torch
        asked = torch.tensor([ids])
        with torch.no_grad():
            found = self._model.generate(
                input_ids=asked,
                attention_mask=torch.ones_like(asked),
                do_sample=False,
                max_new_tokens=max_tokens,
                eos_token_id=self._end_ids,
                pad_token_id=self._end_ids[0],
            )
        written = [int(token) for token in found[0, len(ids) :]]
        return written[: next((at for at, token in enumerate(written) if token in self._end_ids), len(written))]
