"""Eight clients on four adapters: harness.serve, one mlx_lm.server, and one mlx_lm.server for each adapter:
python -m benchmarks.serve

Greedy chats of one length, whole processes, the same BLAS. In turn, round by round; then the first token of a stream
when nobody else asks, with the adapter in place.
"""

import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import mlx.core as mx
from mlx.utils import tree_map

from benchmarks.model import build_model, never_ends, tokens_known
from benchmarks.sides import with_blas
from harness.config.schema import ModelConfig
from harness.machine import blas
from harness.models.adapter import adapter_weights, attached, save_weights
from harness.models.adapter_files import AdapterSpec, save_spec
from harness.models.base import open_base
from harness.models.randomness import seeded

ADAPTERS = ("a", "b", "c", "d")
SYSTEM = "用户会给出一个主题，请按照给定的主题，切实准确简洁且情感丰富地写一首现代诗"


@dataclass(frozen=True)
class Side:
    """`ask`: port and fields of a request for an adapter."""

    name: str
    ask: Callable[[str], tuple[int, dict[str, Any]]]


@dataclass
class Measured:
    """Of one side: seconds of each round, of each text, and to the first token; the texts by what was asked."""

    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


@click.command()
@click.option("--width", default=256, show_default=True)
@click.option("--blocks", default=16, show_default=True)
@click.option("--tokens", default=64, show_default=True, help="Length of each text.")
@click.option("--clients", default=8, show_default=True)
@click.option("--texts", default=3, show_default=True, help="Of each client in a round.")
@click.option("--rounds", default=3, show_default=True)
def main(width: int, blocks: int, tokens: int, clients: int, texts: int, rounds: int) -> None:
    """Print texts an hour, the 95th percentile of a text's seconds, and seconds to the first token."""
    print(
        f"{blocks} blocks of width {width}, f32, {tokens} tokens a text; {clients} clients on {len(ADAPTERS)} adapters"
    )
    print(f"{platform.machine()}, {os.cpu_count()} cores; {blas.load().words}")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as ending:
        folder = Path(scratch)
        _write(folder, width, blocks)
        sides = [ending.enter_context(side) for side in (_ours(folder), _one_stock(folder), _stock_each(folder))]
        measured = {side.name: Measured() for side in sides}
        for number in range(rounds + 1):  # the first is not measured: weights are read, MLX compiles its CPU kernels
            for side in sides:
                _round(side, measured[side.name], clients, texts, tokens, number)
        for number in range(4 * rounds):
            for side in sides:
                _first(side, measured[side.name], tokens, number)
    _print([(side.name, measured[side.name]) for side in sides])


def _write(folder: Path, width: int, blocks: int) -> None:
    build_model(folder / "model", width=width, blocks=blocks, vocabulary=tokens_known())  # all can be read
    never_ends(folder / "model")
    base = open_base(ModelConfig(path=str(folder / "model"), revision=None))
    keys = ["self_attn.q_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    spec = AdapterSpec("lora", 8, 2.0, 0.0, blocks // 2, keys, base.path, base.revision)
    for luck, name in enumerate(ADAPTERS):
        with attached(base.model, spec, seed=luck), seeded(luck):
            weights = tree_map(lambda value: mx.random.normal(value.shape) * 0.02, adapter_weights(base.model))
        save_spec(folder / name, spec)
        save_weights(folder / name / "adapters.safetensors", weights, {})


@contextmanager
def _ours(folder: Path) -> Iterator[Side]:
    words = ["harness.serve", *(f"{name}={folder / name}" for name in ADAPTERS), "--port"]
    with _process(words, beside=1) as port:
        yield Side("harness.serve", lambda adapter: (port, {"model": adapter}))


@contextmanager
def _one_stock(folder: Path) -> Iterator[Side]:
    with _process(["mlx_lm", "server", "--model", str(folder / "model"), "--port"], beside=1) as port:
        yield Side("mlx_lm.server", lambda adapter: (port, {"adapters": str(folder / adapter)}))


@contextmanager
def _stock_each(folder: Path) -> Iterator[Side]:
    with ExitStack() as all_of_them:
        ports = {}
        for name in ADAPTERS:
            words = [
                "mlx_lm",
                "server",
                "--model",
                str(folder / "model"),
                "--adapter-path",
                str(folder / name),
                "--port",
            ]
            ports[name] = all_of_them.enter_context(_process(words, beside=len(ADAPTERS)))
        yield Side("mlx_lm.server, a process an adapter", lambda adapter: (ports[adapter], {}))


@contextmanager
def _process(words: Sequence[str], *, beside: int) -> Iterator[int]:
    """`beside`: processes that write at once; more threads than cores would spin while they wait for one another."""
    threads = str(max((os.cpu_count() or 1) // beside, 1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", *words, str(port)]
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**with_blas(), "OPENBLAS_NUM_THREADS": threads}
        )
        try:
            until = time.monotonic() + 120
            while not _answers(port):
                assert process.poll() is None and time.monotonic() < until, f"{' '.join(command)} did not start"
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=60)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _round(side: Side, measured: Measured, clients: int, texts: int, tokens: int, number: int) -> None:
    """Each client asks one adapter, a text after the other; the first round is not kept."""
    took: list[float] = []

    def client(place: int) -> None:
        adapter = ADAPTERS[place % len(ADAPTERS)]
        for index in range(texts):
            theme = f"{number} {place} {index}"
            begin = time.perf_counter()
            text = _ask(side, adapter, theme, tokens)
            took.append(time.perf_counter() - begin)
            measured.texts[adapter, theme] = text

    threads = [threading.Thread(target=client, args=[place]) for place in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == clients * texts, f"{side.name} did not answer all"
    print(f"{number}  {side.name}: {time.perf_counter() - begin:.1f} s", file=sys.stderr)
    if number:
        measured.rates.append(3600 * len(took) / (time.perf_counter() - begin))
        measured.seconds += took


def _first(side: Side, measured: Measured, tokens: int, number: int) -> None:
    """After one text of the adapter, so that it is in place."""
    _ask(side, ADAPTERS[0], f"warm {number}", 4)
    begin = time.perf_counter()
    with _asked(side, ADAPTERS[0], f"first {number}", tokens, stream=True) as reply:
        while b'"content"' not in reply.readline():
            continue
        measured.first.append(time.perf_counter() - begin)
        reply.read()


def _ask(side: Side, adapter: str, theme: str, tokens: int) -> str:
    with _asked(side, adapter, theme, tokens, stream=False) as reply:
        return str(json.loads(reply.read())["choices"][0]["message"]["content"]).strip()


@contextmanager
def _asked(side: Side, adapter: str, theme: str, tokens: int, *, stream: bool) -> Iterator[http.client.HTTPResponse]:
    port, more = side.ask(adapter)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": theme}]
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, "stream": stream, **more}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        reply = connection.getresponse()
        assert reply.status == 200, f"{side.name} said {reply.status}: {reply.read()[:300]!r}"
        yield reply
    finally:
        connection.close()


def _print(sides: Sequence[tuple[str, Measured]]) -> None:
    ours = sides[0][1]
    print(f"\n{'':36} texts an hour       p95, s   first token, s   texts that are ours")
    for name, side in sides:
        rate, first = statistics.median(side.rates), statistics.median(side.first)
        p95 = statistics.quantiles(side.seconds, n=20)[-1]
        same = sum(ours.texts[asked] == text for asked, text in side.texts.items())
        times = statistics.median(mine / theirs for mine, theirs in zip(ours.rates, side.rates, strict=True))
        spread = f"{min(side.rates):.0f}–{max(side.rates):.0f}"
        shown = f"{rate:6.0f} ({spread}) {p95:8.2f} {first:12.4f}   {same} of {len(side.texts)}"
        print(f"{name:36} {shown}   ours × {times:.2f}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.serve")
