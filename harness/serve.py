"""python -m harness.serve: a base and its adapters behind one OpenAI-compatible endpoint."""

from functools import partial
from typing import Any

import click

from harness.console.command import plainly, prepare_for_models
from harness.console.options import tracking_option


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--model", "base", help="The base.  [default: the one that the adapters were trained on]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Others than this machine need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--allow-host", "hosts", multiple=True, help="A further name of this server, as behind a proxy.")
@click.option("--temperature", type=click.FloatRange(0, 5), help="Where none is asked for.  [default: as generate]")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="The same.")
@click.option("--max-tokens", type=click.IntRange(1), default=2048, show_default=True, help="Of a text, at most.")
@click.option("--max-prompt-tokens", type=click.IntRange(1), help="[default: what the base was made for]")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Texts at a time.")
@click.option("--queue", type=click.IntRange(0), default=128, show_default=True, help="Texts that may wait.")
@click.option(
    "--grace", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds to finish at the end."
)
@click.option("--log-level", type=click.Choice(["warning", "info"]), default="warning", show_default=True)
@tracking_option
def main(**words: Any) -> None:
    """Serve MODELS on one base until Ctrl-C: each [name=]reference[=scale], as models:/poet@champion=0.7, runs:/<id>,
    a folder, or none for the bare base. Beyond this machine only with a token in HARNESS_SERVE_TOKEN."""
    plainly(lambda: _serve(**words))


def _serve(tracking_uri: str | None, log_level: str, **words: Any) -> None:
    prepare_for_models()

    from harness.config.schema import TrackingConfig
    from harness.serving.session import Serving, serve_models

    say = partial(click.echo, err=True)  # which outlives its terminal, as a server must
    serve_models(Serving(**words, log=log_level == "info", tracking=TrackingConfig(uri=tracking_uri)), say)


if __name__ == "__main__":
    main(prog_name="python -m harness.serve")
