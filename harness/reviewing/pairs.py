"""Which two texts stand side by side, blind: on one theme, by different adapters where there are some.

Knows nothing of what was decided.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from harness.reviewing.queue import Item, QueueSettings, by_theme, far, luck, opaque
from harness.reviewing.texts import Text


def lay_out_pairs(texts: Sequence[Text], settings: QueueSettings) -> list[Item]:
    """Each text once, but for an odd one; a share of the pairs once more later, with sides changed."""
    couples = [couple for each in by_theme(texts).values() for couple in _couples(each, settings)]
    couples.sort(key=lambda couple: luck(settings, "pairs", couple[0].key + couple[1].key))
    pairs: list[Item] = []
    due: list[tuple[int, Item]] = []
    for number, (one, other) in enumerate(couples):
        pairs += [pair for at, pair in due if at == number]
        swapped = luck(settings, "side", one.key + other.key) < 0.5
        left, right = (other, one) if swapped else (one, other)
        key = opaque(settings.secret, left.key, right.key)
        pairs.append(Item(key=key, texts=(left, right)))
        if luck(settings, "pair again", one.key + other.key) < settings.repeats:
            again = opaque(settings.secret, left.key, right.key, "again")
            due.append((number + far(len(couples)) + 1, Item(key=again, texts=(right, left), first=key)))
    return pairs + [pair for at, pair in due if at >= len(couples)]


def _couples(texts: Sequence[Text], settings: QueueSettings) -> Iterator[tuple[Text, Text]]:
    """By chance, neighbours by different adapters first."""
    waiting: list[Text] = []
    for text in sorted(texts, key=lambda each: luck(settings, "couple", each.key)):
        other = next((each for each in waiting if _writer(each) != _writer(text)), None)
        if other is None:
            waiting.append(text)
            continue
        waiting.remove(other)
        yield other, text
    yield from zip(waiting[::2], waiting[1::2], strict=False)


def _writer(text: Text) -> tuple[Any, ...]:
    return tuple(text.record.get(name) for name in ("adapter", "run", "iteration", "scale"))
