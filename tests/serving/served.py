"""The endpoint in this process, on a real port, with adapters that write nothing alike; and what they would write."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map
from openai import AsyncOpenAI, OpenAI

from harness.config.schema import GenerateCommand, TrackingConfig
from harness.console.progress import Display
from harness.models.adapter import adapter_weights, attached, save_weights
from harness.models.adapter_files import AdapterSpec, save_spec
from harness.models.base import Base
from harness.models.randomness import seeded
from harness.sampling.samples import Sample
from harness.serving.session import Endpoint, Serving, endpoint
from harness.tracking.registry import register, set_alias
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from harness.web.guard import Door
from harness.web.listening import listening
from harness.writing.grid import lay_out, write_all
from tests.conftest import compose_config
from tests.runs import best_of

SYSTEM = "写一首现代诗"

SERVING = Serving(
    models=[],
    base=None,
    host="127.0.0.1",
    port=0,
    hosts=[],
    temperature=None,
    top_p=None,
    max_tokens=64,
    max_prompt_tokens=None,
    batch_size=8,
    queue=64,
    grace=20.0,
    log=False,
    tracking=TrackingConfig(uri=None),
    every=0.05,
)


@dataclass
class Served:
    """`said`: the lines that a person sees."""

    port: int
    endpoint: Endpoint
    said: list[str]
    thread: threading.Thread
    token: str = "none"
    clients: list[OpenAI] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> OpenAI:
        self.clients.append(OpenAI(base_url=f"{self.url}/v1", api_key=self.token, max_retries=0, timeout=60))
        return self.clients[-1]

    def async_client(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.token, max_retries=0, timeout=60)


@contextmanager
def served(serving: Serving, *, token: str | None = None) -> Iterator[Served]:
    said: list[str] = []
    with listening(serving.host, 0) as listener:
        port = listener.getsockname()[1]
        with endpoint(serving, Door(host=serving.host, port=port, token=token), said.append) as opened:
            thread = threading.Thread(target=opened.server.serve_on, args=[listener])
            thread.start()
            here = Served(port, opened, said, thread, token or "none")
            try:
                yield here
            finally:
                for client in here.clients:
                    client.close()
                opened.server.end()
                opened.server.end()
                thread.join(20)


def write_adapter(folder: Path, base: Base, spec: AdapterSpec, luck: int, **metadata: str) -> Path:
    """An adapter of random weights that changes every token."""
    with attached(base.model, spec, seed=luck), seeded(luck):
        weights = tree_map(lambda value: mx.random.normal(value.shape) * 0.3, adapter_weights(base.model))
        mx.eval(weights)
    folder.mkdir(parents=True, exist_ok=True)
    save_spec(folder, spec)
    save_weights(folder / "adapters.safetensors", weights, metadata)
    return folder


def promote(store: Store, name: str, base: Base, spec: AdapterSpec, luck: int, *, move: bool = True) -> str:
    """A run with one such checkpoint, registered under the name; returns its version."""
    with TrackedRun.start(store, "serving", name=name, tags={"kind": "run"}) as run:
        write_adapter(run.folder, base, spec, luck, run=run.run_id, step="7")
        run.checkpoint(
            "adapters.safetensors",
            configs=["adapter_config.json"],
            step=7,
            scores={"valid/loss": 1.0},
            dataset=("valid", "d"),
            params={},
            tags={"base": base.path},
        )
        assert run.drain() == 0, run.trouble
        (best,) = [point for point in best_of(store, run) if point.run_id == run.run_id]
    version = register(store, best, name).number
    if move:
        set_alias(store, name, "champion", version)
    return str(version)


def generated(adapter: str, themes: Sequence[str], *words: str, tracking: str) -> list[Sample]:
    """What harness.generate writes with it."""
    prompts = f"generate.prompts=[{','.join(themes)}]"
    words = (f"adapters={adapter}", prompts, f"data.system={SYSTEM}", f"tracking.uri={tracking}", *words)
    command: GenerateCommand = compose_config(*words, command=GenerateCommand, config_name="generate")
    grid = lay_out(command, [command.generate.scale])
    order = {planned.id: place for place, planned in enumerate(grid.planned)}
    return sorted(write_all(grid, command, Display(silent=True)), key=lambda sample: order[sample.id])


def chat(theme: str) -> list[Any]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": theme}]
