"""Train the base: python -m tools.pretrain.train --out FOLDER. Resumes from the folder's checkpoint.

Rows are written while it trains, batches are made of rows of like length, and both depend on the seed and the number of
the update alone. Knows nothing of how good the texts are (evaluate.py).
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from harness.files import write_json, write_whole
from harness.models.byte_level import save
from tools.pretrain.rows import digest, held_out, training
from tools.pretrain.tokenizer import build, encoded

_POOL = 16  # batches whose rows are sorted together by length
_STEP = 16  # lengths are padded to its multiple, so that few shapes are compiled
_PLACES = 128  # scored places are filled up to its multiple, for the same reason
_CHECKED = 128  # held-out rows scored at each checkpoint


@dataclass(frozen=True)
class Settings:
    """What decides the weights. learning_rate: the highest; updates: all, warm-up included."""

    seed: int = 15
    updates: int = 8000
    batch_size: int = 16
    learning_rate: float = 2.5e-3
    warmup: int = 100
    weight_decay: float = 0.05
    width: int = 160
    blocks: int = 6
    heads: int = 5
    hidden: int = 432


def config(settings: Settings, vocabulary: int) -> dict[str, Any]:
    """config.json."""
    return {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": settings.width,
        "num_hidden_layers": settings.blocks,
        "intermediate_size": settings.hidden,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.heads,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": vocabulary,
    }


@dataclass(frozen=True)
class Batch:
    """`tokens`: int [batch, seq]; `scored`: int [n], which of the batch * (seq - 1) places come before a token of an
    answer; `weights`: float [n], 0 for those that only fill up."""

    tokens: mx.array
    scored: mx.array
    weights: mx.array


def batch(rows: list[tuple[list[int], int]]) -> Batch:
    longest = max(len(tokens) for tokens, _ in rows)
    width = -(-longest // _STEP) * _STEP + 1
    tokens = np.zeros((len(rows), width), dtype=np.int32)
    scored = np.zeros((len(rows), width - 1), dtype=bool)
    for index, (ids, start) in enumerate(rows):
        tokens[index, : len(ids)] = ids
        scored[index, start - 1 : len(ids) - 1] = True
    (places,) = scored.ravel().nonzero()
    fill = -len(places) % _PLACES
    weights = np.concatenate([np.ones(len(places)), np.zeros(fill)]).astype(np.float32)
    return Batch(mx.array(tokens), mx.array(np.pad(places, (0, fill)).astype(np.int32)), mx.array(weights))


def batches(tokenizer: Any, settings: Settings, start: int = 0) -> Iterator[Batch]:
    """From update `start` on."""
    size = settings.batch_size * _POOL
    # a pool owns a range of indices with room for what is held out
    for pool in range(start // _POOL, -(-settings.updates // _POOL)):
        rows = training(settings.seed, pool * size * 2)
        encodings = sorted((encoded(tokenizer, next(rows)[1]) for _ in range(size)), key=lambda pair: len(pair[0]))
        order = list(range(_POOL))
        random.Random(f"{settings.seed}/pool {pool}").shuffle(order)
        for place in order[start % _POOL if pool == start // _POOL else 0 :]:
            yield batch(encodings[place * settings.batch_size : (place + 1) * settings.batch_size])


def loss(model: nn.Module, tokens: mx.array, scored: mx.array, weights: mx.array) -> mx.array:
    """Nats a token of the answers; logits are of those alone."""
    hidden = model.model(tokens[:, :-1])
    hidden = hidden.reshape(-1, hidden.shape[-1])[scored]
    targets = tokens[:, 1:].reshape(-1)[scored]
    losses = nn.losses.cross_entropy(model.model.embed_tokens.as_linear(hidden), targets)
    return (losses * weights).sum() / weights.sum()


class Trainer:
    """A model, its optimizer and how far they are."""

    def __init__(self, settings: Settings, vocabulary: int) -> None:
        from mlx_lm.models.qwen2 import Model, ModelArgs

        mx.random.seed(settings.seed)
        self.settings = settings
        self.config = config(settings, vocabulary)
        self.model = Model(ModelArgs.from_dict(self.config))
        rise = optim.linear_schedule(settings.learning_rate / 100, settings.learning_rate, settings.warmup)
        fall = optim.cosine_decay(
            settings.learning_rate, max(settings.updates - settings.warmup, 1), settings.learning_rate / 50
        )
        schedule = optim.join_schedules([rise, fall], [settings.warmup])
        self.optimizer = optim.AdamW(schedule, betas=[0.9, 0.98], weight_decay=settings.weight_decay)
        self.optimizer.init(self.model.trainable_parameters())
        self.update = 0
        self._recipe = json.dumps(asdict(settings) | {"text": digest(settings.seed)})
        state = [self.model.state, self.optimizer.state]
        gradients = nn.value_and_grad(self.model, loss)

        def step(tokens: mx.array, scored: mx.array, weights: mx.array) -> mx.array:
            value, found = gradients(self.model, tokens, scored, weights)
            found, _ = optim.clip_grad_norm(found, 1.0)
            self.optimizer.update(self.model, found)
            return value

        self._step = mx.compile(step, inputs=state, outputs=state)
        self._state = state

    def train(self, one: Batch) -> float:
        value = self._step(one.tokens, one.scored, one.weights)
        mx.eval(value, self._state)
        self.update += 1
        return float(value)

    def held_out_loss(self, scored: list[Batch]) -> float:
        """Nats a token."""
        counts = [float(one.weights.sum()) for one in scored]
        losses = [float(loss(self.model, one.tokens, one.scored, one.weights)) for one in scored]
        return sum(count * value for count, value in zip(counts, losses, strict=True)) / sum(counts)

    def save(self, folder: Path) -> None:
        """checkpoint.safetensors, from which it resumes, and model.safetensors, which mlx-lm loads."""
        flat = dict(tree_flatten({"model": self.model.parameters(), "optimizer": self.optimizer.state}))
        about = {"update": str(self.update), "recipe": self._recipe}
        write_whole(folder / "checkpoint.safetensors", lambda to: mx.save_safetensors(str(to), flat, about))
        small = dict(tree_flatten(tree_map(lambda value: value.astype(mx.bfloat16), self.model.parameters())))
        write_whole(folder / "model.safetensors", lambda to: mx.save_safetensors(str(to), small, {"format": "mlx"}))
        write_json(folder / "config.json", self.config)

    def resume(self, folder: Path) -> None:
        """Take up the folder's checkpoint, if there is one of the same settings."""
        file = folder / "checkpoint.safetensors"
        if not file.exists():
            return
        flat, about = mx.load(str(file), return_metadata=True)
        if about["recipe"] != self._recipe:
            raise SystemExit(f"error: {file} is of other settings or another text; choose another --out or remove it")
        saved = tree_unflatten(list(flat.items()))
        self.model.update(saved["model"])
        self.optimizer.state = saved["optimizer"]
        self._state[1] = self.optimizer.state
        self.update = int(about["update"])


def run(settings: Settings, folder: Path, *, save_seconds: float, tokenizer_rows: int = 30_000) -> Trainer:
    """Train to the end, telling how it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build(seed=settings.seed, rows=tokenizer_rows)
    trainer = Trainer(settings, tokenizer.get_vocab_size())
    trainer.resume(folder)
    save(tokenizer, folder)
    parameters = sum(value.size for _, value in tree_flatten(trainer.model.parameters()))
    print(
        f"{parameters:,} parameters, vocabulary {tokenizer.get_vocab_size()}, from update {trainer.update}", flush=True
    )
    rows = held_out(settings.seed + 1)
    checked = [batch([encoded(tokenizer, next(rows)[1]) for _ in range(32)]) for _ in range(_CHECKED // 32)]
    if trainer.update == 0:
        _record(folder, trainer, checked)
    begun = saved = told = time.monotonic()
    first, tokens, recent = trainer.update, 0, []
    for one in batches(tokenizer, settings, trainer.update):
        if trainer.update >= settings.updates:
            break
        recent.append(trainer.train(one))
        tokens += one.tokens.size
        now = time.monotonic()
        last = trainer.update == settings.updates
        if now - told > 20 or last:
            left = (now - begun) / (trainer.update - first) * (settings.updates - trainer.update)
            print(
                f"update {trainer.update}/{settings.updates}  loss {sum(recent) / len(recent):.3f}  "
                f"{tokens / (now - begun):,.0f} tokens/s  {left / 60:.0f} min left",
                flush=True,
            )
            told, recent = now, []
        if now - saved > save_seconds or last:
            trainer.save(folder)
            print(
                f"saved at update {trainer.update}, held-out loss {_record(folder, trainer, checked):.3f}", flush=True
            )
            saved = time.monotonic()
    return trainer


def _record(folder: Path, trainer: Trainer, checked: list[Batch]) -> float:
    """A line of curve.jsonl; the held-out loss."""
    score = trainer.held_out_loss(checked)
    with (folder / "curve.jsonl").open("a", encoding="utf-8") as curve:
        curve.write(json.dumps({"update": trainer.update, "held_out_loss": round(score, 4)}) + "\n")
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the small base.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model; a checkpoint there is resumed")
    parser.add_argument("--save-seconds", type=float, default=180, help="time between checkpoints (default: 180)")
    parser.add_argument("--gpu", action="store_true", help="train on the GPU; weights then differ from the CPU's")
    for field in fields(Settings):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=type(field.default), default=field.default, help=f"default: {field.default}")
    given = vars(parser.parse_args())
    mx.set_default_device(mx.gpu if given.pop("gpu") else mx.cpu)
    out, seconds = given.pop("out"), given.pop("save_seconds")
    run(Settings(**given), out, save_seconds=seconds)


if __name__ == "__main__":
    main()
