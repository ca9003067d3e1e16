"""python -m harness.review: a person reads texts one by one, in a browser, and decides."""

from pathlib import Path
from typing import Any

import click

from harness.console.command import plainly
from harness.console.options import tracking_option

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("samples", type=_PATH)
@click.option("--ranking", type=_PATH, help="Of harness.judge.  [default: the newest of these samples]")
@click.option("--order", type=click.Choice(["ranking", "random", "file"]), help="[default: ranking, else random]")
@click.option("--top", type=click.IntRange(1), help="So many of each theme.  [default: all]")
@click.option("--explore", type=click.FloatRange(0, 0.5), default=0.1, show_default=True, help="Of the lower ranks.")
@click.option("--repeats", type=click.FloatRange(0, 0.5), default=0.05, show_default=True, help="Asked once more.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--pause", type=click.FloatRange(0, 10), default=0.3, show_default=True, help="Seconds without keys.")
@click.option("--reviewer", help="Your name; the page can change it.  [default: of your account]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Others than this machine need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8400, show_default=True)
@click.option("--export", type=_PATH, help="Folder for what was decided.  [default: SAMPLES.review]")
@click.option("--system", help="A system message for the chat lines.")
@click.option("--write", is_flag=True, help="Only write what was decided so far.")
@tracking_option
def main(**words: Any) -> None:
    """Serve a page on which the texts of SAMPLES are accepted, edited, skipped or deleted; Ctrl-C ends it."""
    plainly(lambda: _review(**words))


def _review(write: bool, tracking_uri: str | None, order: str | None, **words: Any) -> None:
    from harness.config.schema import TrackingConfig
    from harness.reviewing.queue import Order
    from harness.reviewing.session import Review, serve_review, write_review

    tracking, chosen = TrackingConfig(uri=tracking_uri), order and Order(order)
    review = Review(**words, order=chosen or None, tracking=tracking)
    (write_review if write else serve_review)(review, click.echo)


if __name__ == "__main__":
    main(prog_name="python -m harness.review")
