"""A tiny model on disk, with all that a check needs: rows, prompts, an adapter, who watches and who keeps logits."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import mlx.core as mx
import numpy as np
from hydra import compose, initialize_config_dir

from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.schema import Config, ModelConfig
from harness.data.dataset import Row, Split
from harness.models.adapter import adapter_weights, attached, spec_for
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base, open_base
from harness.models.randomness import seeded
from harness.sampling.choose import Choice, Chooser
from harness.sampling.request import Request
from harness.tuning.evaluate import RowLosses, Score
from harness.tuning.hidden import HiddenRows, compute_hidden
from harness.tuning.meter import Window
from harness.tuning.state import LoopState
from tools.architectures import tiny

NEW_TOKENS = 5
_SETTINGS = [
    "lora.rank=4",
    "lora.scale=2",
    "lora.num_layers=2",
    "train.iters=4",
    "train.batch_size=3",
    "train.learning_rate=1e-2",
    "train.warmup=0",
    "train.steps_per_eval=2",
    "train.save_every=2",
]
_PREFIX = [7, 8, 9, 10, 11, 12]


class Case:
    """A tiny model in `folder`, and what is tried on it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.config = _config()

    @cached_property
    def base(self) -> Base:
        tiny.save(self.name, self.folder / "model")
        return opened(self.folder / "model")

    @cached_property
    def spec(self) -> AdapterSpec:
        return spec_for(self.config.lora, self.base.model, base=self.base.path, base_revision=self.base.revision)

    @cached_property
    def rows(self) -> list[Row]:
        """Of several lengths, longer than any window, learned from the middle on."""
        rng = np.random.default_rng(0)
        lengths = rng.permutation([6, 9, 14, 20, 23, 29]).tolist()
        return [
            Row(rng.integers(3, 250, length).astype(np.int32), np.arange(length) >= length // 2, line)
            for line, length in enumerate(lengths, start=1)
        ]

    @property
    def splits(self) -> tuple[Split, Split]:
        return Split("train", Path("train"), self.rows, 0, []), Split("valid", Path("valid"), self.rows, 0, [])

    @cached_property
    def requests(self) -> list[Request]:
        """Prompts of several lengths that begin alike, and a short one."""
        rng = np.random.default_rng(3)
        lengths = [3, 1, 2, 13, 5]
        prompts = [_PREFIX + rng.integers(3, 250, length).tolist() for length in lengths]
        return [Request(ids=ids, seed=seed, max_tokens=NEW_TOKENS) for seed, ids in enumerate(prompts)]

    @contextmanager
    def adapted(self) -> Iterator[None]:
        """An adapter on the model that changes what it computes."""
        model = self.base.model
        with attached(model, self.spec, seed=0):
            with seeded(1):
                drawn = {key: 0.1 * mx.random.normal(value.shape) for key, value in adapter_weights(model).items()}
                mx.eval(drawn)
            model.load_weights(list(drawn.items()), strict=False)
            yield

    def hidden(self, at: int) -> dict[str, HiddenRows]:
        """What enters block `at`, by split."""
        if at == 0:
            return {}
        found = compute_hidden(self.base.model, at, self.rows, self.folder / "hidden")
        return {split.name: found for split in self.splits}


class Keeping:
    """A watcher that keeps the states which it is handed."""

    def __init__(self) -> None:
        self.states: dict[int, LoopState] = {}

    def on_update(self, step: int, loss: float) -> None: ...
    def on_window(self, window: Window) -> None: ...
    def on_validating(self, done: int, total: int) -> None: ...
    def on_rows(self, rows: RowLosses) -> None: ...
    def on_interrupt(self, state: LoopState) -> None: ...
    def on_score(self, score: Score, state: LoopState | None, *, best: bool) -> None:
        if state is not None:
            self.states[score.step] = state


class Recording:
    """A greedy chooser that keeps each row's logits by its seed and token, and the most rows that it saw at a time."""

    def __init__(self) -> None:
        self.logits: dict[tuple[int, int], mx.array] = {}
        self.most = 0
        self._choose = Chooser(0.0, 1.0)

    def __call__(self, logits: mx.array, luck: mx.array) -> Choice:
        for (seed, token), row in zip(luck.tolist(), logits, strict=True):
            self.logits[seed, token] = row
        self.most = max(self.most, len(logits))
        mx.eval(logits)
        return self._choose(logits, luck)


def opened(folder: Path) -> Base:
    return open_base(ModelConfig(path=str(folder), revision=None))


def _config() -> Config:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", _SETTINGS)
    return from_hydra(composed, Config)
