"""What a judge may like or dislike in a text beside what it says: lines, repetition, stock words."""

import itertools
import math

from harness.data.units import lines, units

# what models reach for in verse and tales in any voice: a few of the commonest, of two languages
_ENGLISH = """
tapestry whisper whispers whispered whispering echo echoes echoing dance dances dancing shimmer shimmering shimmers
ethereal testament symphony kaleidoscope labyrinth timeless boundless endless eternal eternity fleeting solace embrace
embraces gentle gently softly tender tenderly silent silently stillness bittersweet beacon journey realm delicate
vibrant intricate unspoken unravel unfurl woven weave weaves hues crimson golden twilight ember embers serenade luminous
"""
_CHINESE = (
    "仿佛 宛如 悄然 静静 轻轻 温柔 岁月 时光 梦境 永恒 灵魂 交织 璀璨 斑驳 呢喃 低语 流淌 绽放 诉说 缱绻 氤氲 涟漪"
)
_STOCK, _STOCK_CHINESE = frozenset(_ENGLISH.split()), tuple(_CHINESE.split())


def traits(text: str) -> dict[str, float]:
    """`lines`: their logarithm; `repetition`: share of neighbouring pairs that stood before; `stock words`: share."""
    found = units(text)
    pairs = list(itertools.pairwise(found))
    chinese = sum(len(word) * text.count(word) for word in _STOCK_CHINESE)
    stock = sum(unit.lower() in _STOCK for unit in found) + chinese
    return {
        "lines": math.log(1 + len(lines(text))),
        "repetition": 1 - len(set(pairs)) / len(pairs) if pairs else 0.0,
        "stock words": stock / len(found) if found else 0.0,
    }
