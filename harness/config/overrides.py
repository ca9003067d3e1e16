"""The command line before Hydra sees it: unknown names are refused with a hint, values are quoted.

Hydra's own complaint about an unknown key comes late and in several lines, and its grammar refuses
unquoted values such as 河. So the words are put right here first. Knows nothing of what values mean.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from harness.config.hints import did_you_mean
from harness.config.load import free_names, key_names, presumed_names
from harness.config.paths import CONF
from harness.config.schema import Config
from harness.config.yaml_file import read_mapping
from harness.errors import HarnessError

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_OVERRIDE = re.compile(r"^(?P<prefix>\+\+|\+|~)?(?P<key>[^=]+)=(?P<value>.*)$", re.DOTALL)

_MULTIRUN = ("-m", "--multirun")
_LISTED = "--cfg job lists them all"


def prepare(arguments: Sequence[str], command: type, conf: Path = CONF, *, listed: str = _LISTED) -> list[str]:
    """Command-line words (options among them) as Hydra can read them. `listed`: where all settings are to be seen.

    Raises:
        HarnessError: for a name that is no setting or group, or a group option that does not exist.
    """
    flags = [word for word in arguments if word in _MULTIRUN]
    words = [word for word in arguments if word not in _MULTIRUN]
    # to the front: argparse takes no overrides after an option that stands among them
    return flags[:1] + [_prepare_word(word, command, conf, listed, multirun=bool(flags)) for word in words]


def check_names(names: Sequence[str], command: type, conf: Path = CONF, listed: str = _LISTED) -> None:
    """Refuse names that are neither settings nor groups.

    Raises:
        HarnessError: with the nearest name that exists, or saying that it means something to training alone.
    """
    known = [*key_names(command), *_groups(conf)]
    free = tuple(f"{name}." for name in free_names(command))
    for name in names:
        bare = name.split("@")[0]
        if bare in known or bare.startswith(("hydra.", "hydra/", *free)):
            continue
        if bare in key_names(Config):
            raise HarnessError(f"{bare} has no effect on this command, only on training; leave it out")
        raise HarnessError(f"{bare} is not a setting{did_you_mean(bare, known)}; {listed}")


def as_typed(word: str) -> str:
    """What a user would type for a word that `prepare` has quoted."""
    key, equals, value = word.partition("=")
    if not equals:
        return word
    text = _QUOTED.sub(lambda quoted: quoted[1].replace("\\'", "'").replace("\\\\", "\\"), value)
    return f"{key}={text}" if _quoted(key, text, multirun=False) == value else word


def _prepare_word(word: str, command: type, conf: Path, listed: str, *, multirun: bool) -> str:
    match = _OVERRIDE.match(word)
    if word.startswith("-") or not match:
        return word
    key, value = match["key"], match["value"]
    check_names([key], command, conf, listed)
    group = conf / key
    if group.is_dir():
        options = sorted(path.stem for path in group.glob("*.yaml"))
        # A group may share its name with a value's first part: a value that is no option is no group choice.
        if multirun and value.startswith("glob("):
            return word
        for option in value.split(",") if multirun else [value]:
            if option not in (*options, "null"):
                raise HarnessError(
                    f"{key}={option} is not there{did_you_mean(option, options)}; conf/{key} has {', '.join(options)}"
                )
            if option != "null":
                read_mapping(group / f"{option}.yaml")  # else Hydra ends in a traceback
        return word
    free = any(key == name or key.startswith(f"{name}.") for name in free_names(command))
    free = free or key in presumed_names(command)
    prefix = match["prefix"] or ("++" if free else "")  # else Hydra refuses keys that the mapping does not have yet
    return f"{prefix}{key}={_quoted(key, value, multirun=multirun)}"


def _quoted(key: str, value: str, *, multirun: bool) -> str:
    if value == "" or _parses(f"{key}={value}", multirun=multirun):
        return value
    if value.startswith("[") and value.endswith("]"):
        return f"[{','.join(_quote(part.strip()) for part in value[1:-1].split(','))}]"
    parts = value.split(",") if multirun else [value]
    return ",".join(part if _parses(f"{key}={part}", multirun=multirun) else _quote(part) for part in parts)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _parses(override: str, *, multirun: bool) -> bool:
    """Whether Hydra reads it, and, without -m, reads one value: a,b is a text there."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return multirun or not parsed.is_sweep_override()


def _groups(conf: Path) -> list[str]:
    return [path.name for path in conf.iterdir() if path.is_dir()]
