"""python -m harness.generate: texts from an adapter, in the terminal and as JSON lines."""

from pathlib import Path

from harness.config.schema import GenerateCommand
from harness.data.themes import read_themes
from harness.door import hydra_door
from harness.errors import HarnessError


def main() -> None:
    hydra_door(_generate, GenerateCommand, "generate")


def _generate(command: GenerateCommand) -> None:
    themes, out = _checked(command)

    from harness.models import blas  # noqa: F401  (loads OpenBLAS before anything imports mlx)
    from harness.sampling.samples import append_sample
    from harness.write_with import write_with

    for sample in write_with(command, themes):
        print(f"── {sample.theme}\n{sample.text}\n", flush=True)
        if out is not None:
            append_sample(out, sample)


def _checked(command: GenerateCommand) -> tuple[list[str], Path | None]:
    """The themes to write on, and the file to write to, before anything is loaded."""
    if command.theme is not None and command.themes is not None:
        raise HarnessError(f"give theme or themes, not both, but got {command.theme} and {command.themes}")
    if command.adapter is None and command.generate.scale != 1:
        raise HarnessError(f"generate.scale={command.generate.scale:g} needs an adapter to scale; give adapter=…")
    out = None if command.out is None else Path(command.out).expanduser()
    if out is not None and out.exists():
        raise HarnessError(f"out={out} must not exist yet, so that nothing is overwritten; choose another or remove it")
    if out is not None and not out.absolute().parent.is_dir():
        raise HarnessError(f"out={out} must be in a folder that exists, but {out.parent} does not; make it first")
    if command.theme is not None:
        return [str(command.theme)], out
    if command.themes is not None:
        return read_themes(Path(command.themes).expanduser()), out
    return command.generate.prompts, out


if __name__ == "__main__":
    main()
