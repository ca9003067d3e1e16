"""python -m harness.lineage: from a training line, a run or a model version back to all that made it."""

import json
from pathlib import Path

import click

from harness.console.command import plainly
from harness.console.options import tracking_option


@click.command()
@click.argument("reference")
@click.option("--data", type=click.Path(path_type=Path), help="Where words are looked for.  [default: newest run's]")
@click.option("--json", "as_json", is_flag=True, help="As nested JSON.")
@tracking_option
def main(reference: str, data: Path | None, as_json: bool, tracking_uri: str | None) -> None:
    """Print the chain behind REFERENCE: FILE:LINE, words of a training line, a run's id, or models:/name@alias.

    \b
      python -m harness.lineage my/poems-2/train.jsonl:12
      python -m harness.lineage "it carries both banks" --data my/poems-2
      python -m harness.lineage models:/poems@champion --json
    """
    plainly(lambda: _print(reference, data, as_json, tracking_uri))


def _print(reference: str, data: Path | None, as_json: bool, tracking_uri: str | None) -> None:
    from harness.config.schema import TrackingConfig
    from harness.rounds.chain import said
    from harness.rounds.lineage import lineage

    found = lineage(reference, data=data, tracking=TrackingConfig(uri=tracking_uri))
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=2) if as_json else "\n".join(said(found)))


if __name__ == "__main__":
    main(prog_name="python -m harness.lineage")
