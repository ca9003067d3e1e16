"""What a run will need of the device's memory, part by part, before any weight is read.

A backward pass keeps what the adapted blocks computed: a few numbers a position for each output of their
linear layers. How many was measured on MLX's CPU backend, on Qwen2 models in float32, bfloat16 and 4 bits,
with widths, inner widths, heads, vocabularies, ranks, batches and options varied (benchmarks/prediction.py
compares prediction and measurement). Frozen blocks below the adapted ones keep nothing.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any

import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from harness.config.schema import TrainConfig
from harness.models.adapter_files import AdapterSpec
from harness.models.sizes import activation_bytes, sizes_of

# numbers kept a position and block, for each ...
_OUTPUT = 1.85  # output of a linear layer
_ADAPTED_OUTPUT = 0.64  # output of an adapted one, more
_ADAPTED_INPUT = 0.45  # input of an adapted one, as float32, where the base is of fewer bits
_DROPPED_INPUT = 1.25  # input of an adapted one, with dropout
_DORA_OUTPUT = 1.0  # output of an adapted one, with DoRA
_SCORE = 0.85  # attention head and position attended to
_WORKING_BLOCKS = 1.3  # blocks' worth that the blocks being computed need beside what is kept
_RECOMPUTED_BLOCKS = 2.8  # blocks' worth in all with checkpointing, where each block keeps its input alone
_LOGITS = 4  # copies of the logits in a training step
_LOGITS_ON_TARGETS = 3  # by MLX's own cross-entropy
_UPDATE = 2.5  # copies of the adapter beside weights and state while an update is applied: gradients, new values
_CACHE_STEP = 256  # positions by which mlx-lm's cache grows
_STATES = {"adam": 2, "adamw": 2, "muon": 1, "sgd": 0, "adafactor": 1}  # numbers kept for each weight


@dataclass(frozen=True)
class ModelShape:
    """A base with its adapter attached, in what memory depends on. Widths are sums over an adapted block's layers.

    `weights` and `adapter` are bytes; `item` is the bytes of one activation.
    """

    weights: int
    adapter: int
    adapted_blocks: int
    blocks: int
    rank: int
    dropout: float
    dora: bool
    hidden: int
    heads: int
    cached: int
    vocabulary: int
    outputs: float
    adapted_inputs: float
    adapted_outputs: float
    adapted_layers: float
    item: int


@dataclass(frozen=True)
class Load:
    """What a training step works on. `width`: positions of the longest row; `targets`: learned ones, None for a head
    that sees all; `chunk`: positions of a micro-batch that go through the head at once, None for all of those.

    `weights`: bytes of the weights that a step computes with. What the frozen blocks made of the rows is mapped from
    a file: the system takes that memory back when it is short.
    """

    width: int
    targets: int | None
    weights: int
    chunk: int | None = None

    def logits(self, batch_size: int) -> int:
        """Positions of logits that are there at once, copies counted."""
        if self.targets is None:
            return _LOGITS * batch_size * self.width
        return _LOGITS_ON_TARGETS * min(batch_size * self.targets, self.chunk or sys.maxsize)


@dataclass(frozen=True)
class Need:
    """Bytes at the peak, by part. `adapter` holds its gradients and the optimizer's state too."""

    weights: int
    adapter: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.activations + self.logits


@dataclass(frozen=True)
class Change:
    """Settings that need less, as typed, and what they need."""

    words: str
    need: Need


def shape_of(model: nn.Module, spec: AdapterSpec, settings: dict[str, Any]) -> ModelShape:
    """Read the sizes off a model with the adapter of `spec` attached and its config.json. Evaluates nothing."""
    text = settings.get("text_config", {}) | settings
    adapted = model.layers[-spec.num_layers :]
    experts = int(text.get("num_experts_per_tok") or 1)
    sizes = sizes_of(model, settings)
    widths = _Widths()
    for block in adapted:
        for _, module in block.named_modules():
            if isinstance(module, nn.Linear | nn.QuantizedLinear | SwitchLinear | QuantizedSwitchLinear):
                widths.outputs += _dimensions(module, experts)[1]
            if "lora_a" in module:
                inputs, outputs = _dimensions(module.linear, experts)
                widths.adapted_inputs += inputs
                widths.adapted_outputs += outputs
                widths.adapted_layers += 1
    adapter = _trainable_bytes(model)
    return ModelShape(
        weights=_bytes(model) - adapter,
        adapter=adapter,
        adapted_blocks=len(adapted),
        blocks=len(model.layers),
        rank=spec.rank,
        dropout=spec.dropout,
        dora=spec.fine_tune_type == "dora",
        hidden=sizes.hidden,
        heads=sizes.heads,
        cached=sizes.cached,
        vocabulary=sizes.vocabulary,
        outputs=widths.outputs / len(adapted),
        adapted_inputs=widths.adapted_inputs / len(adapted),
        adapted_outputs=widths.adapted_outputs / len(adapted),
        adapted_layers=widths.adapted_layers / len(adapted),
        item=activation_bytes(adapted[-1]),
    )


@dataclass
class _Widths:
    """Sums over the adapted blocks."""

    outputs: int = 0
    adapted_inputs: int = 0
    adapted_outputs: int = 0
    adapted_layers: int = 0


def tail_weights(model: nn.Module, at: int, settings: dict[str, Any]) -> int:
    """Bytes of the weights that a step which begins at block `at` computes with; a tied embedding is the head."""
    text = settings.get("text_config", {}) | settings
    tied = bool(text.get("tie_word_embeddings", not any("lm_head" in name for name, _ in model.named_modules())))
    below = sum(_bytes(block) for block in model.layers[:at])
    embedding = 0 if tied or at == 0 else sum(_bytes(m) for m in model.modules() if _is_embedding(m))
    return _bytes(model) - _trainable_bytes(model) - below - embedding


def dequantized_bytes(model: nn.Module, spec: AdapterSpec) -> int:
    """What train.dequantize_tail adds."""
    total = 0
    for block in model.layers[-spec.num_layers :]:
        for _, module in block.named_modules():
            if type(module) is nn.QuantizedLinear:
                inputs, outputs = _dimensions(module, 1)
                total += inputs * outputs * int(module.scales.dtype.size)
    return total


def training_need(shape: ModelShape, settings: TrainConfig, load: Load) -> Need:
    """At the peak of a training step on a micro-batch of the longest rows."""
    positions = settings.batch_size * load.width
    block = _kept(shape, load.width)
    if settings.grad_checkpoint:
        kept = shape.adapted_blocks * shape.hidden * shape.item + _RECOMPUTED_BLOCKS * block
    else:
        kept = (shape.adapted_blocks + _WORKING_BLOCKS) * block
    activations = round(positions * kept)
    logits = load.logits(settings.batch_size) * shape.vocabulary * shape.item
    # at the peak of the backward pass few gradients are there; activations are gone when an update is applied
    beyond = max(round(_UPDATE * shape.adapter) - activations - logits, 0)
    adapter = (1 + _STATES[settings.optimizer]) * shape.adapter + beyond
    return Need(load.weights, adapter, activations, logits)


def sampling_need(shape: ModelShape, prompt: int, tokens: int, rows: int) -> Need:
    """While `rows` texts are written: what a block needs for the prompts, and keys and values of prompts and texts."""
    cached = -(-(prompt + tokens) // _CACHE_STEP) * _CACHE_STEP
    cache = rows * cached * shape.blocks * shape.cached * shape.item
    working = rows * round(prompt * _kept(replace(shape, dropout=0), prompt))
    return Need(shape.weights, shape.adapter, cache + working, 2 * rows * shape.vocabulary * shape.item)


def less(shape: ModelShape, settings: TrainConfig, load: Load) -> list[Change]:
    """What to change, one after the other, when memory does not suffice; each with all before it."""
    changes = []
    if not settings.grad_checkpoint:
        settings = replace(settings, grad_checkpoint=True)
        changes.append(Change("train.grad_checkpoint=true", training_need(shape, settings, load)))
    if settings.batch_size > 1:
        accumulation = settings.batch_size * settings.grad_accumulation_steps
        settings = replace(settings, batch_size=1, grad_accumulation_steps=accumulation)
        words = f"train.batch_size=1 train.grad_accumulation_steps={accumulation}"
        changes.append(Change(words, training_need(shape, settings, load)))
    if shape.rank > 4:
        shape = replace(shape, rank=shape.rank // 2, adapter=shape.adapter // 2)
        changes.append(Change(f"lora.rank={shape.rank}", training_need(shape, settings, load)))
    if load.width > 64:
        targets = None if load.targets is None else load.targets // 2
        load = replace(load, width=load.width // 2, targets=targets)
        changes.append(Change(f"train.max_seq_length={load.width}", training_need(shape, settings, load)))
    return changes


def _kept(shape: ModelShape, width: int) -> float:
    """Bytes a position that one adapted block keeps for the backward pass."""
    numbers = _OUTPUT * shape.outputs + _ADAPTED_OUTPUT * shape.adapted_outputs + _SCORE * shape.heads * width
    numbers += _DROPPED_INPUT * shape.adapted_inputs * (shape.dropout > 0)
    numbers += _DORA_OUTPUT * shape.adapted_outputs * shape.dora
    in_float32 = shape.rank * shape.adapted_layers + _ADAPTED_INPUT * shape.adapted_inputs * (shape.item < 4)
    return shape.item * numbers + 4 * in_float32


def _dimensions(module: nn.Module, experts: int) -> tuple[int, int]:
    """Inputs and outputs of a linear layer a position; of a layer of experts, those that a position goes through."""
    *many, outputs, packed = module.weight.shape
    inputs = packed * 32 // module.bits if "scales" in module else packed
    times = experts if many else 1
    return times * inputs, times * outputs


def _bytes(module: nn.Module) -> int:
    return sum(value.nbytes for _, value in tree_flatten(module.parameters()))


def _trainable_bytes(module: nn.Module) -> int:
    return sum(value.nbytes for _, value in tree_flatten(module.trainable_parameters()))


def _is_embedding(module: nn.Module) -> bool:
    return isinstance(module, nn.Embedding | nn.QuantizedEmbedding)
