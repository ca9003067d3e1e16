"""python -m harness.prepare: raw poems to the lines that training reads."""

from pathlib import Path

from harness.config.schema import PrepareCommand
from harness.console.command import hydra_command


def main() -> None:
    hydra_command(_prepare, PrepareCommand, "prepare")


def _prepare(command: PrepareCommand) -> None:
    from harness.data.sources.poems import prepare_poems

    source = command.source
    path = Path(source.path).expanduser()
    out = path.parent if source.out is None else Path(source.out).expanduser()
    prepared = prepare_poems(
        path,
        out,
        system=command.data.system,
        line_format=source.format,
        valid=source.valid,
        test=source.test,
        seed=source.seed,
    )
    counts = ", ".join(f"{name}.jsonl {rows}" for name, rows in prepared.rows.items())
    print(f"{prepared.raw} poems, {prepared.duplicates} duplicates left out; wrote to {out}: {counts}")


if __name__ == "__main__":
    main()
