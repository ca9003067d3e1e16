"""A YAML file of values as plain Python, with every complaint as one line. Knows nothing of what the values mean."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import MarkedYAMLError, YAMLError

from harness.errors import HarnessError


def read_mapping(file: Path) -> dict[str, Any]:
    """The file's mapping, numbers such as 1e-5 among them read as mlx-lm and Hydra read them.

    Raises:
        HarnessError: naming the file, and the line where there is one.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except MarkedYAMLError as error:
        raise HarnessError(unreadable(error, file)) from error
    except UnicodeDecodeError as error:
        number = file.read_bytes()[: error.start].count(b"\n") + 1
        raise HarnessError(f"{file}:{number} must be UTF-8, but it is not; save the file as UTF-8") from error
    except (YAMLError, OSError) as error:
        raise HarnessError(f"{file} must be readable YAML: {' '.join(str(error).split())}; mend the file") from error
    if not isinstance(content, dict):
        raise HarnessError(f"{file} must hold a mapping, name: value, but it holds a {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def unreadable(error: MarkedYAMLError, file: Path | None = None) -> str:
    """What is wrong with which line, in one."""
    mark = error.problem_mark
    place = file or (mark.name if mark else "a YAML file")
    line = f":{mark.line + 1}" if mark else ""
    return f"{place}{line} must be readable YAML, but {error.problem or error.context}; mend the line"
