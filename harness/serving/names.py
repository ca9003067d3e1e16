"""By which names a model is called: as it was typed, shorter where that is clear, base:adapter, or one of its own.

Knows words. Does not know what a reference leads to.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError

NONE = "none"
DEFAULT = "default_model"  # mlx_lm.server's clients call so what it was started with
_SCALED = re.compile(r"^(?P<reference>.+)=(?P<scale>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$")
_OWN = re.compile(r"^(?P<own>[\w.-]{1,80})=(?P<rest>.+)$")
_MOST_SCALE = 4.0  # as generate.scale


@dataclass(frozen=True)
class Typed:
    """A model of the command line: [name=]reference[=scale]. `reference`: None for the bare base."""

    word: str
    reference: str | None
    scale: float = 1.0
    own: str | None = None


def read_word(word: str) -> Typed:
    """
    Raises:
        HarnessError: for a scale out of range, or one of the bare base.
    """
    own, rest, scale = None, word, 1.0
    if not Path(word).expanduser().exists():
        if (found := _SCALED.match(rest)) is not None:
            rest, scale = found["reference"], float(found["scale"])
        if (found := _OWN.match(rest)) is not None:
            own, rest = found["own"], found["rest"]
    return typed(word, rest, scale, own)


def typed(word: str, reference: str, scale: float = 1.0, own: str | None = None) -> Typed:
    """
    Raises:
        HarnessError: for a scale out of range, or one of the bare base.
    """
    if not 0 <= scale <= _MOST_SCALE:
        raise HarnessError(f"{word}: a scale must be 0 to {_MOST_SCALE:g} times the adapter's own, but got {scale:g}")
    if reference == NONE and scale != 1:
        raise HarnessError(f"{word}: the bare base has no adapter to scale; leave the scale out")
    return Typed(word, None if reference == NONE else reference, scale, own)


class Names:
    """`models`: what was typed, by a key of the caller's. `base`: how its path calls the base."""

    def __init__(self, models: Mapping[str, Typed], base: str) -> None:
        bases = list(dict.fromkeys([base, Path(base).name if "/" in base else base]))
        ranked: dict[str, dict[int, list[str]]] = {}
        for key, model in models.items():
            for rank, names in enumerate(_names(model, bases)):
                for name in names:
                    ranked.setdefault(name, {}).setdefault(rank, []).append(key)
        # the more literal meaning counts; one that two models share means none of them
        best = {name: ranks[min(ranks)] for name, ranks in ranked.items()}
        self._keys = {name: keys[0] for name, keys in best.items() if len(set(keys)) == 1}
        for name, key in list(self._keys.items()):
            for prefix in bases:
                self._keys.setdefault(f"{prefix}:{name}", key)
        self._bases = bases
        if models:
            self._keys.setdefault(DEFAULT, next(iter(models)))

    def find(self, name: str) -> str | None:
        """The key of the model that the name means."""
        return self._keys.get(name)

    def of(self, key: str) -> list[str]:
        """All names of a model but those with the base's before them."""
        before = tuple(f"{base}:" for base in self._bases)
        return [
            name for name, of in self._keys.items() if of == key and name != DEFAULT and not name.startswith(before)
        ]


def label(model: Typed, names: Iterable[str]) -> str:
    """The one that a person is shown: the model's own, else the shortest; the base's last, which says what it is."""
    found = list(names)
    return model.own or (found[-1] if model.reference is None else min(found, key=len))


def _names(model: Typed, bases: Sequence[str]) -> list[list[str]]:
    """The most literal first."""
    if model.reference is None:
        return [[model.word, *([model.own] if model.own else [])], [NONE], list(bases)]
    longer, shorter = _short(model.reference)
    if model.scale == 1:
        return [[model.word, *([model.own] if model.own else [])], [model.reference, longer], [shorter]]
    times = f"={model.scale:g}"
    return [
        [model.word, *([model.own] if model.own else [])],
        [f"{model.reference}{times}", f"{longer}{times}", f"{shorter}{times}"],
        [],
        [model.reference, longer],
        [shorter],
    ]


def _short(reference: str) -> tuple[str, str]:
    """Without its scheme, and without what tells versions apart."""
    scheme, found, rest = reference.partition(":/")
    rest = rest.strip("/")
    if found and scheme == "models":
        return rest, re.split("[@/]", rest)[0]
    if found and scheme == "runs":
        return rest, rest[:8]
    parts = Path(reference).expanduser().parts
    return "/".join(parts[-2:]), parts[-1]
