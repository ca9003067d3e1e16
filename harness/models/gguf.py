"""A fused model as a GGUF file, by mlx-lm's own writer where that writes what llama.cpp reads rightly.

That writer (mlx_lm/gguf.py, 0.32.2) knows the Llama shape with a SentencePiece vocabulary. It gives all tokens one
score, by which llama.cpp merges them in another order: the scores are put right here (31 of 500 texts were other tokens
to it, now none). Knows nothing of adapters.
"""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.gguf import convert_to_gguf, translate_weight_names

from harness.errors import HarnessError
from harness.models.base import Base
from harness.models.stock import Fused

_ARCHITECTURES = ("llama", "mistral", "mixtral")
_KNOWN = re.compile(
    r"(token_embd|output|output_norm)\.weight|"
    r"blk\.\d+\.(attn_(q|k|v|output|norm)|ffn_(norm|gate|down|up|gate_inp)|ffn_(gate|down|up)\.\d+)\.(weight|bias)"
)


def why_not(base: Base) -> str | None:
    """What mlx-lm's writer cannot say of this model; None where it can say all."""
    settings = base.settings
    kind = settings.get("model_type")
    if kind not in _ARCHITECTURES:
        return f"mlx-lm writes GGUF of {', '.join(_ARCHITECTURES)} only, and this is {kind}"
    scaling = settings.get("rope_scaling")
    if scaling and scaling.get("type") != "linear":
        return f"mlx-lm's GGUF has no place for rope scaling {scaling.get('rope_type', scaling.get('type'))}"
    heads = settings["num_attention_heads"]
    if settings.get("head_dim") not in (None, settings["hidden_size"] // heads):
        return "mlx-lm's GGUF has no place for a head's own width"
    if not _is_sentencepiece(base):
        return "mlx-lm's GGUF is for SentencePiece vocabularies, and this tokenizer is another kind"
    names = [translate_weight_names(name) for name, _ in tree_flatten(base.model.parameters())]
    unknown = [name for name in names if not _KNOWN.fullmatch(_unquantized(name))]
    return f"mlx-lm's GGUF has no name for {unknown[0]}" if unknown else None


def write_gguf(file: Path, model: Fused, base: Base) -> None:
    """A model in full precision; the tokenizer's files lie in the base's folder."""
    weights = dict(tree_flatten(model.model.parameters()))
    config = {"num_key_value_heads": model.config["num_attention_heads"], **model.config}
    with redirect_stdout(io.StringIO()):  # it names a file that will soon be elsewhere
        convert_to_gguf(base.folder, weights, config, str(file))
    arrays, metadata = _read(file)
    metadata["general.name"] = file.stem
    metadata["tokenizer.ggml.scores"] = mx.array(_scores(base, metadata["tokenizer.ggml.tokens"]), dtype=mx.float32)
    if (template := base.tokenizer.template) is not None:
        metadata["tokenizer.chat_template"] = template
    metadata["tokenizer.ggml.add_bos_token"] = mx.array(base.tokenizer.begin_mark != "")
    mx.eval(arrays)
    rewritten = file.with_suffix(".new.gguf")
    mx.save_gguf(str(rewritten), arrays, metadata)
    rewritten.replace(file)


def read_into(model: Fused, file: Path) -> None:
    """Put what a file of `write_gguf` holds in the place of the model's weights.

    Raises:
        HarnessError: when a tensor is missing or has another shape.
    """
    arrays, metadata = _read(file)
    heads = int(metadata["llama.attention.head_count"].item())
    few = int(metadata["llama.attention.head_count_kv"].item())
    found = []
    for name, value in tree_flatten(model.model.parameters()):
        array = arrays.pop(translate_weight_names(name), None)
        if array is None or array.shape != value.shape:
            raise HarnessError(f"{file.name} does not hold {name} of shape {tuple(value.shape)}")
        if name.endswith(("self_attn.q_proj.weight", "self_attn.k_proj.weight")):
            array = _halves(array, heads if "q_proj" in name else few)
        found.append((name, array))
    if arrays:
        raise HarnessError(f"{file.name} holds {next(iter(arrays))}, which the model has not")
    model.model.load_weights(found)
    mx.eval(model.model.parameters())


def _read(file: Path) -> tuple[dict[str, mx.array], dict[str, Any]]:
    arrays, metadata = mx.load(str(file), return_metadata=True)
    return arrays, metadata


def _halves(weights: mx.array, heads: int) -> mx.array:
    """From GGUF's order of a head's rows, pairs that turn together side by side, to two halves."""
    pairs = weights.reshape(heads, weights.shape[0] // heads // 2, 2, *weights.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weights.shape)


def _unquantized(name: str) -> str:
    return re.sub(r"\.(scales|biases)$", ".weight", name)


def _is_sentencepiece(base: Base) -> bool:
    said = _tokenizer(base)
    kind = said.get("model", {})
    return (
        kind.get("type") == "BPE"
        and bool(kind.get("byte_fallback"))
        and "ByteLevel" not in json.dumps([said.get("pre_tokenizer"), said.get("decoder")])
    )


def _scores(base: Base, tokens: list[str]) -> list[float]:
    """Of a token, minus the place of the first merge that makes it: the earlier, the sooner llama.cpp merges too."""
    rank: dict[str, int] = {}
    for number, merge in enumerate(_tokenizer(base)["model"]["merges"]):
        parts = merge.split(" ", 1) if isinstance(merge, str) else merge
        rank.setdefault("".join(parts), number)
    last = len(rank)
    return [-float(rank.get(token, last)) for token in tokens]


def _tokenizer(base: Base) -> dict[str, Any]:
    return dict(json.loads((base.folder / "tokenizer.json").read_text("utf-8")))
