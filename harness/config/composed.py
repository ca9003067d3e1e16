"""Settings behind the options of a command that Hydra does not run: the same words, refused with the same lines.

Knows nothing of what the settings mean.
"""

from collections.abc import Sequence
from typing import TypeVar

from hydra import compose, initialize_config_dir

from harness.config.load import from_hydra
from harness.config.overrides import prepare
from harness.config.paths import CONF
from harness.errors import HarnessError

Command = TypeVar("Command")


def composed(words: Sequence[str], command: type[Command], config_name: str, *, listed: str) -> Command:
    """`conf/<config_name>.yaml` with these words, as its record. `listed`: where all settings are to be seen.

    Raises:
        HarnessError: for a word that sets nothing, or sets what is not there or may not be.
    """
    for word in words:
        if "=" not in word:
            raise HarnessError(f"{word} must be a setting, name=value; {listed}, --help shows the options")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return from_hydra(compose(config_name, prepare(words, command, listed=listed)), command)
