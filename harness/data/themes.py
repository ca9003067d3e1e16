"""A file of themes, one a line."""

from pathlib import Path

from harness.errors import HarnessError


def read_themes(path: Path) -> list[str]:
    """The themes in order; blank lines and repetitions are passed over.

    Raises:
        HarnessError: when the file is missing, empty or not UTF-8.
    """
    try:
        content = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise HarnessError(f"themes={path} is not there; give a text file with one theme a line") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise HarnessError(f"themes={path} must be a UTF-8 text file with one theme a line: {error}") from error
    themes = list(dict.fromkeys(line.strip() for line in content.splitlines() if line.strip()))
    if not themes:
        raise HarnessError(f"themes={path} has no theme; write one a line")
    return themes
