"""python -m harness.refine: from a sweep to texts, to a person, to the next sweep, round after round."""

import shlex
from pathlib import Path

import click

from harness.console.command import plainly
from harness.console.options import storage_option, tracking_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--sweep", help="What the first round begins with, by the beginning of its id.  [default: the newest]")
@click.option("--write", metavar="WORDS", help="Of harness.generate, as 'themes=words.txt variants=all n=2'.")
@click.option("--judge", metavar="WORDS", help="Of harness.judge, as 'judge=poetry judge.model=m'.  [default: none]")
@click.option("--prepare", metavar="WORDS", help="Of harness.prepare, as 'source.near_duplicates=off'.")
@click.option("--vary", metavar="WORDS", help="Around the champion, as 'lora.rank=8,16'.  [default: the last sweep's]")
@click.option("--from-weights/--from-base", default=None, help="Begin with the champion's weights.  [default: no]")
@tracking_option
@storage_option
def main(folder: Path, sweep: str | None, from_weights: bool | None, **given: str | None) -> None:
    """Take rounds in FOLDER on until a person has to decide; the same command goes on afterwards, and if interrupted.

    Each step is printed as the command that it is. What is given is kept in FOLDER/rounds.json.
    """
    words = {name: None if text is None else shlex.split(text) for name, text in given.items() if name in _WORDS}
    rest = {name: text for name, text in given.items() if name not in _WORDS}
    plainly(lambda: _refine(folder, sweep, {"from_weights": from_weights, **words, **rest}))


_WORDS = ("write", "judge", "prepare", "vary")


def _refine(folder: Path, sweep: str | None, given: dict[str, object]) -> None:
    from harness.rounds.process import run_process
    from harness.rounds.refine import refine

    refine(folder, sweep, given, run=run_process, say=lambda line: click.echo(line, err=True))


if __name__ == "__main__":
    main(prog_name="python -m harness.refine")
