"""python -m harness.export: an adapter in the format of another program, measured after it is written."""

from pathlib import Path

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option
from harness.releasing.export.target import Target


@click.command()
@click.argument("reference")
@click.option(
    "--to", "target", type=click.Choice([target.value for target in Target]), required=True, help="What is written."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="A new folder.  [default: named after adapter, target and bits]"
)
@click.option(
    "--bits",
    help="Of fused and lmstudio: base (as the base is), full, mixed (as the base, 8 where the adapter is), 2 to 8, or "
    "a recipe of mlx-lm's such as mixed_4_6.  [default: base]",
)
@click.option(
    "--group-size",
    type=int,
    help="Weights that share a scale: 32, 64 or 128.  [default: as the base]",
)
@click.option("--model", help="The base, where the adapter does not say it or it lies elsewhere now.")
@click.option("--prompt", "prompts", multiple=True, help="Asked greedily, in the place of the run's; again for more.")
@tracking_option
def main(
    reference: str,
    target: str,
    out: Path | None,
    bits: str | None,
    group_size: int | None,
    model: str | None,
    prompts: tuple[str, ...],
    tracking_uri: str | None,
) -> None:
    """Write the adapter of REFERENCE for another program, with a model card, and prove that it is the same.

    REFERENCE: models:/name@alias, runs:/<id>, an adapter's folder or a checkpoint file.
    What was written is loaded again and compared with the adapter on its base: by the loss on the validation rows, and
    by greedy texts. Where they differ, nothing is left behind and the exit code is 1.

    \b
      python -m harness.export models:/poems@champion --to fused
      python -m harness.export models:/poems@champion --to fused --bits 8 --group-size 32 --out poems-8bit
      python -m harness.export models:/poems@champion --to ollama
    """

    def work() -> None:
        from harness.machine import blas

        blas.load()
        from harness.releasing.export.run import Order, export

        order = Order(
            reference=reference,
            target=Target(target),
            out=out,
            bits=bits,
            group_size=group_size,
            model=model,
            prompts=prompts,
        )
        export(order, TrackingConfig(uri=tracking_uri))

    plainly(work)


if __name__ == "__main__":
    main(prog_name="python -m harness.export")
