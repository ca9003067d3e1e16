"""Configurations that differ in values: composed by Hydra once, then changed by each value as Hydra changes it.

Composing reads and merges two dozen files, a sixth of a second; setting values takes a few milliseconds. Knows nothing
of what values mean.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.paths import CONF


class Varied:
    """What `compose` makes of command-line words, asked once for all that choose the same groups.

    Words that do more than to set a value or choose a group, or that cannot be, go to `compose` as they are.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig], conf: Path = CONF) -> None:
        self._compose, self._conf = compose, conf
        self._found: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, words: Sequence[str]) -> DictConfig:
        """A configuration of one's own, to be changed at will."""
        try:
            parsed = [OverridesParser.create().parse_override(word) for word in words]
        except HydraException:
            return self._compose(list(words))
        if not all(map(_sets, parsed)):
            return self._compose(list(words))
        values = [each for each in parsed if not (self._conf / each.key_or_group).is_dir()]
        groups = tuple(word for word, each in zip(words, parsed, strict=True) if each not in values)
        if groups not in self._found:
            self._found[groups] = self._compose(list(groups))
        config = copy.deepcopy(self._found[groups])
        try:
            for each in values:
                OmegaConf.update(config, each.key_or_group, each.value(), merge=True)
        except OmegaConfBaseException:  # to be told in Hydra's words
            return self._compose(list(words))
        return config


def _sets(override: Override) -> bool:
    """name=value: neither +name, ++name nor ~name, and nothing of Hydra's own."""
    name = override.key_or_group
    changes = override.type is OverrideType.CHANGE and override.package is None
    return changes and not name.startswith(("hydra.", "hydra/"))
