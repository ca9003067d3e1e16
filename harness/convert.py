"""python -m harness.convert: a model in MLX's format, in fewer bits, measured before and after."""

from pathlib import Path
from typing import Any

import click

from harness.console.command import plainly


@click.command()
@click.argument("model")
@click.option("--bits", help="2, 3, 4, 5, 6 or 8; several (4,8) make a model each, to compare.")
@click.option("--group-size", default=64, show_default=True, help="Weights that share a scale: 32, 64 or 128.")
@click.option("--mixed", help="mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6: more bits where most is lost.")
@click.option("--dtype", help="float16, bfloat16 or float32 for what is not quantized.  [default: as it is]")
@click.option("--dequantize", is_flag=True, help="Back to full precision; with --bits, to be quantized anew.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to make.  [default: its name and bits, here]")
@click.option("--data", type=click.Path(path_type=Path), help="Measure on its valid.jsonl.  [default: general texts]")
@click.option("--revision", help="Of a model of the hub.")
def main(**words: Any) -> None:
    """Convert MODEL, a hub name, a folder or builtin:small, to MLX's format, and quantize it.

    The loss is measured before and after on the same rows, so that you see what the bits cost.

    \b
    Which is worth it? Then train on one:
      python -m harness.convert Qwen/Qwen2.5-7B-Instruct --bits 4,8 --mixed mixed_3_6 --data my/poems
      python -m harness.train model.path=Qwen2.5-7B-Instruct-4bit data.path=my/poems
    """
    plainly(lambda: _convert(**words))


def _convert(*, bits: str | None, mixed: str | None, group_size: int, **asked: Any) -> None:
    from harness.machine import blas

    blas.load()

    from harness.console.progress import Display
    from harness.models.quantize import ways
    from harness.releasing.converting.convert import Order, convert

    convert(Order(ways=ways(bits, mixed, group_size=group_size), **asked), Display())


if __name__ == "__main__":
    main(prog_name="python -m harness.convert")
