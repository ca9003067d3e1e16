"""In which order texts are shown: the best first with some of the lower ranks among them, and hidden repeats.

Computed anew from the texts each time, by luck that hangs on each text alone, so that texts which join later move few
of the others. Knows nothing of what was decided.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.reviewing.texts import Text

_FAR = 10
_FARTHER = 20  # and by chance up to so many more
_LEAST_SHARE = 1e-6
LOWER = 0.5  # ranks of a theme from here on are the lower ones


class Order(StrEnum):
    """`FILE`: as the texts stand there, which may let guess who wrote them."""

    RANKING = "ranking"
    RANDOM = "random"
    FILE = "file"


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """`explore`: share of the queue that is drawn from the lower ranks; `repeats`: share that is asked once more.

    `top`: so many of each theme, besides those drawn; None: all. `secret`: what opaque keys are made with.
    """

    order: Order
    explore: float
    repeats: float
    top: int | None
    seed: int
    secret: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """One showing of a text, or of two side by side. `key`: opaque.

    `first`: the key of the showing that this one repeats; `rank`: on its theme, 0 the best, 1 the last.
    """

    key: str
    texts: tuple[Text, ...]
    first: str | None = None
    rank: float | None = None

    @property
    def theme(self) -> str:
        return self.texts[0].theme


def lay_out(texts: Sequence[Text], worth: Mapping[str, float], settings: QueueSettings) -> list[Item]:
    """`worth`: by the sample's id, where a judge gave one. Each text once, some again later."""
    ranks = _ranks(texts, worth)
    shown = _in_order(texts, worth, ranks, settings)

    def item(text: Text, again: bool) -> Item:
        first, second = opaque(settings.secret, text.key), opaque(settings.secret, text.key, "again")
        rank = ranks.get(text.key)
        return Item(key=second if again else first, texts=(text,), first=first if again else None, rank=rank)

    return [item(text, again) for text, again in _with_repeats(shown, settings)]


def opaque(secret: str, *parts: str) -> str:
    """A name from which nothing can be told."""
    return hashlib.sha256("\n".join([secret, *parts]).encode()).hexdigest()[:12]


def luck(settings: QueueSettings, purpose: str, of: str) -> float:
    """From 0 to 1, always the same for the same."""
    digest = hashlib.sha256(f"{settings.seed}\n{settings.secret}\n{purpose}\n{of}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def far(many: int) -> int:
    """How many others at least lie between an item and its repeat."""
    return min(_FAR, many // 2)


def by_theme(texts: Iterable[Text]) -> dict[str, list[Text]]:
    themes: dict[str, list[Text]] = {}
    for each in texts:
        themes.setdefault(each.theme, []).append(each)
    return themes


def _ranks(texts: Sequence[Text], worth: Mapping[str, float]) -> dict[str, float]:
    """By the text's key, of those that were judged: a judge compares texts on one theme, so each has its own ranks."""
    ranks: dict[str, float] = {}
    for each in by_theme(text for text in texts if text.sample in worth).values():
        best_first = sorted(each, key=lambda text: -worth[text.sample])
        ranks |= {text.key: place / max(len(best_first) - 1, 1) for place, text in enumerate(best_first)}
    return ranks


def _in_order(
    texts: Sequence[Text], worth: Mapping[str, float], ranks: Mapping[str, float], settings: QueueSettings
) -> list[Text]:
    def chance(text: Text) -> float:
        return luck(settings, "order", text.key)

    def best_first(text: Text) -> tuple[bool, float, float]:
        return text.sample not in worth, -worth.get(text.sample, 0.0), chance(text)

    place = {text.key: at for each in by_theme(texts).values() for at, text in enumerate(sorted(each, key=best_first))}
    if settings.order is Order.FILE:
        shown = list(texts)
    elif settings.order is Order.RANDOM:
        shown = sorted(texts, key=chance)
    else:  # the best of every theme, then the second of every theme, and so on
        shown = sorted(texts, key=lambda text: (place[text.key], chance(text)))
    wanted = [text for text in shown if settings.top is None or place[text.key] < settings.top]
    if settings.order is not Order.RANKING and settings.top is None:
        return wanted  # all ranks come as they come
    lower = sorted(
        (text for text in texts if ranks.get(text.key, 1.0) >= LOWER),
        key=lambda text: luck(settings, "lower", text.key),
    )
    return list(_mixed(wanted, lower, settings))


def _mixed(wanted: Sequence[Text], lower: Sequence[Text], settings: QueueSettings) -> Iterator[Text]:
    """In each stretch of 1/explore one of the lower ranks, at a place by chance."""
    if not settings.explore:
        yield from wanted
        return
    stretch = max(2, round(1 / max(settings.explore, _LEAST_SHARE)))
    seen: set[str] = set()
    drawn = iter(lower)
    number = 0
    for text in wanted:
        if text.key in seen:
            continue
        if number % stretch == _drawn_at(number, stretch, settings):
            other = next((each for each in drawn if each.key not in seen and each.key != text.key), None)
            if other is not None:
                seen.add(other.key)
                yield other
                number += 1
        seen.add(text.key)
        yield text
        number += 1


def _drawn_at(number: int, stretch: int, settings: QueueSettings) -> int:
    return int(luck(settings, "stretch", str(number // stretch)) * stretch)


def _with_repeats(shown: Sequence[Text], settings: QueueSettings) -> Iterator[tuple[Text, bool]]:
    """A share of the texts once more, far enough behind that few will remember them."""
    many, distance = len(shown), far(len(shown))
    wanted = max(1, round(settings.repeats * many)) if settings.repeats and distance else 0
    can = sorted(range(many - distance), key=lambda at: luck(settings, "again", shown[at].key))
    after: dict[int, list[Text]] = {}
    for at in can[:wanted]:
        farther = int(luck(settings, "farther", shown[at].key) * _FARTHER)
        after.setdefault(min(at + distance + farther, many - 1), []).append(shown[at])
    for at, text in enumerate(shown):
        yield text, False
        for repeated in after.get(at, []):
            yield repeated, True
