"""A grid of texts by harness.generate's engine, by one mlx_lm.generate process each, and by mlx_lm's batch_generate:
python -m benchmarks.generate

4 checkpoints × 10 themes × 5 prompt variants, greedy, the same length. The processes are timed on a few texts and
counted for all; the other two write the whole grid, in turn. The floors are timed on a few steps of as many rows and
counted for all tokens: what the base's matrix products take, and mlx-lm's forward passes, both without adapters,
prompts or choosing.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map
from mlx_lm import load
from mlx_lm.generate import batch_generate
from mlx_lm.models.cache import make_prompt_cache

from benchmarks.model import build_model, never_ends
from benchmarks.sides import with_blas
from harness.config.load import from_values
from harness.config.schema import GenerateCommand
from harness.console.progress import Display
from harness.machine import blas
from harness.models.adapter import adapter_weights, attached, save_weights
from harness.models.adapter_files import AdapterSpec, checkpoint_name, save_spec
from harness.models.base import Base, open_base
from harness.models.randomness import seeded
from harness.sampling.samples import read_samples
from harness.writing.grid import Grid, lay_out, write_into

THEMES = ["河", "灯", "秋天", "母亲", "雨", "山", "夜", "车站", "雪", "门"]
SYSTEM = "用户会给出一个主题，请按照给定的主题，切实准确简洁且情感丰富地写一首现代诗"


@click.command()
@click.option("--width", default=256, show_default=True)
@click.option("--blocks", default=16, show_default=True)
@click.option("--tokens", default=96, show_default=True, help="Length of each text.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--processes", default=3, show_default=True, help="mlx_lm.generate processes timed in each round.")
@click.option("--rows", default=32, show_default=True, help="generate.batch_size, and batch_generate's.")
def main(width: int, blocks: int, tokens: int, rounds: int, processes: int, rows: int) -> None:
    """Print seconds for 200 texts by each of the three, and the ratios."""
    print(f"{blocks} blocks of width {width}, vocabulary {16 * width}, f32, {tokens} tokens a text")
    print(f"{platform.machine()}, {os.cpu_count()} cores; {blas.load().words}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=16 * width)
        never_ends(folder / "model")
        _adapters(open_base(_command(folder, tokens, rows).model), folder)
        command = _command(folder, tokens, rows)
        one, batch, ours, whole_batch, whole_ours = [], [], [], [], []
        products, passes = [], []
        for number in range(rounds + 1):  # the first is not measured: MLX compiles its CPU kernels
            grid = lay_out(command, [1.0])
            seconds = statistics.median(_process(folder, grid, place, tokens) for place in range(processes))
            theirs, their_whole, texts = _batch(folder, grid, tokens, rows)
            mine, my_whole = _ours(folder, command, texts)
            floor, forward = _floors(grid.base, rows, prompt=70, steps=tokens)
            if number:
                products.append(floor * len(grid.planned) * tokens)
                passes.append(forward * len(grid.planned) * tokens)
                one.append(seconds * len(grid.planned))
                batch.append(theirs)
                ours.append(mine)
                whole_batch.append(their_whole)
                whole_ours.append(my_whole)
        mine, my_whole = statistics.median(ours), statistics.median(whole_ours)
        count = len(grid.planned)
        sides = [
            ("mlx_lm.generate, a process each", None, statistics.median(one)),
            ("batch_generate, adapter by adapter", statistics.median(batch), statistics.median(whole_batch)),
            ("ours", mine, my_whole),
            ("the base's forward passes alone", None, statistics.median(passes)),
            ("their matrix products alone", None, statistics.median(products)),
        ]
        print(f"\n{'':36} writing, s   whole, s   texts an hour   times ours")
        for name, writing, whole in sides:
            shown = "" if writing is None else f"{writing:.1f}"
            times = f"{whole / my_whole:.2f}" + ("" if writing is None else f" ({writing / mine:.2f} writing)")
            print(f"{name:36} {shown:>10} {whole:10.1f} {3600 * count / whole:15.0f}   {times}")


def _command(folder: Path, tokens: int, rows: int) -> GenerateCommand:
    """As the command line would give it."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf, open_dict

    from harness.config.paths import CONF

    words = ["prompt=poems", "generate.temperature=0", "generate.top_p=1", f"generate.max_tokens={tokens}"]
    words += [f"generate.batch_size={rows}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("generate", words)
    with open_dict(composed):
        composed.pop("hydra", None)
    values = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(values, dict)
    values |= {"adapters": str(folder / "adapters"), "first": 4, "variants": "all"}
    values["generate"]["prompts"] = THEMES
    values["model"]["path"] = str(folder / "model")
    return from_values(values, GenerateCommand)


def _adapters(base: Base, folder: Path) -> None:
    keys = ["self_attn.q_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    spec = AdapterSpec("lora", 8, 2.0, 0.0, 8, keys, base.path, base.revision)
    save_spec(folder / "adapters", spec)
    for step in (200, 400, 600, 800):
        with attached(base.model, spec, seed=step), seeded(step):
            weights = tree_map(lambda value: mx.random.normal(value.shape) * 0.02, adapter_weights(base.model))
        save_weights(folder / "adapters" / checkpoint_name(step), weights, {"step": str(step)})
        save_spec(folder / str(step), spec)
        save_weights(folder / str(step) / "adapters.safetensors", weights, {})


def _process(folder: Path, grid: Grid, place: int, tokens: int) -> float:
    planned = grid.planned[place * 37 % len(grid.planned)]
    words = ["--model", str(folder / "model"), "--adapter-path", str(folder / str(planned.iteration))]
    words += ["--prompt", planned.prompt, "--max-tokens", str(tokens), "--temp", "0", "--ignore-chat-template"]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mlx_lm", "generate", *words], check=True, capture_output=True, env=with_blas()
    )
    return time.perf_counter() - start


def _batch(folder: Path, grid: Grid, tokens: int, rows: int) -> tuple[float, float, list[str]]:
    """Seconds of writing, and with loading; the texts."""
    texts, writing = [], 0.0
    begin = time.perf_counter()
    for part in grid.parts:
        model, tokenizer = load(str(folder / "model"), adapter_path=str(folder / str(part.planned[0][0].iteration)))[:2]
        prompts = [tokenizer.encode(prompt.text) for _, prompt in part.planned]
        start = time.perf_counter()
        texts += batch_generate(model, tokenizer, prompts, max_tokens=tokens, completion_batch_size=rows).texts
        writing += time.perf_counter() - start
    return writing, time.perf_counter() - begin, texts


def _ours(folder: Path, command: GenerateCommand, texts: list[str]) -> tuple[float, float]:
    out = folder / "samples.jsonl"
    out.unlink(missing_ok=True)
    begin = time.perf_counter()
    grid = lay_out(command, [1.0])
    grid.base.materialize()
    start = time.perf_counter()
    write_into(out, grid, command, Display())
    end = time.perf_counter()
    same = sum(entry.text == text.strip() for entry, text in zip(read_samples(out), texts, strict=True))
    print(f"{same} of {len(texts)} texts are those of batch_generate", file=sys.stderr)
    return end - start, end - begin


def _floors(base: Base, rows: int, *, prompt: int, steps: int) -> tuple[float, float]:
    """Seconds of a token of one of `rows` texts: in the products with the base's matrices, in its forward passes.

    prompt, steps: tokens that are in the cache before, and that are written.
    """
    model = base.model
    weights = [module.weight for _, module in model.named_modules() if isinstance(module, nn.Linear)]
    weights.append(model.model.embed_tokens.weight)  # the head's too
    inputs = {weight.shape[1]: mx.random.normal((rows, weight.shape[1])) for weight in weights}
    cache = [part.merge([part] * rows) for part in make_prompt_cache(model)]
    mx.eval(model(mx.ones((rows, prompt), mx.int32), cache=cache), list(inputs.values()))
    start = time.perf_counter()
    for _ in range(steps):
        mx.eval([inputs[weight.shape[1]] @ weight.T for weight in weights])
    between = time.perf_counter()
    for _ in range(steps):
        mx.eval(model(mx.ones((rows, 1), mx.int32), cache=cache))
    end = time.perf_counter()
    return (between - start) / steps / rows, (end - between) / steps / rows


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.generate")
