"""PEFT's adapter_config.json: what it says of an adapter, and what of it the harness has no place for.

Knows nothing of tensors.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

CONFIG_FILE = "adapter_config.json"

# each changes what the layers compute, or the base under them
_FOREIGN = (
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
# ways to begin that leave the base as it is; the others take from its weights what they put into the factors
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, kw_only=True)
class PeftConfig:
    """`rank` and `alpha` of a layer that no pattern names; patterns are regular expressions for the end of a name."""

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    rslora: bool
    dora: bool
    dropout: float
    base: str | None
    revision: str | None
    target_parameters: tuple[str, ...]

    def rank_of(self, name: str) -> int:
        return int(_by_pattern(self.rank_pattern, name, self.rank))

    def scale_of(self, name: str) -> float:
        """What the product of the factors is multiplied with."""
        rank = self.rank_of(name)
        return _by_pattern(self.alpha_pattern, name, self.alpha) / (math.sqrt(rank) if self.rslora else rank)

    def scale(self, names: Iterable[str]) -> float:
        """The one scale of all these layers.

        Raises:
            HarnessError: where they differ: mlx-lm has one for an adapter.
        """
        scales = {self.scale_of(name): name for name in names}
        if len(scales) > 1:
            said = ", ".join(f"{scale:g} at {name}" for scale, name in sorted(scales.items())[:3])
            raise HarnessError(f"alpha_pattern must leave one scale for all layers, but gives {said}")
        return next(iter(scales))


def read_peft_config(path: Path) -> PeftConfig:
    """What a file says.

    Raises:
        HarnessError: naming what of it is unreadable or has no place in mlx-lm's format.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        _refuse_foreign(path, content)
        return PeftConfig(
            rank=int(content["r"]),
            alpha=float(content["lora_alpha"]),
            rank_pattern={str(key): int(value) for key, value in (content.get("rank_pattern") or {}).items()},
            alpha_pattern={str(key): float(value) for key, value in (content.get("alpha_pattern") or {}).items()},
            rslora=bool(content.get("use_rslora")),
            dora=bool(content.get("use_dora")),
            dropout=float(content.get("lora_dropout") or 0.0),
            base=content.get("base_model_name_or_path") or None,
            revision=content.get("revision") or None,
            target_parameters=tuple(content.get("target_parameters") or ()),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise HarnessError(f"{path} is not a LoRA's configuration of PEFT: {error!r}") from error


def _refuse_foreign(path: Path, content: Mapping[str, Any]) -> None:
    kind = content["peft_type"]
    if kind != "LORA":
        raise HarnessError(f"{path}: peft_type must be LORA, but got {kind}; merge it in PEFT and use the merged model")
    named = [name for name in _FOREIGN if content.get(name)]
    if content.get("bias", "none") != "none":
        named.append("bias")
    if content.get("init_lora_weights", True) not in _PLAIN_STARTS:
        named.append("init_lora_weights")
    if named:
        said = ", ".join(f"{name}={json.dumps(content[name])[:80]}" for name in named)
        raise HarnessError(
            f"{path}: {said} has no place in an mlx-lm adapter; merge it in PEFT and use the merged model"
        )


def _by_pattern(patterns: Mapping[str, Any], name: str, default: Any) -> Any:
    """As PEFT chooses: the first pattern that the end of a name matches."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return default
