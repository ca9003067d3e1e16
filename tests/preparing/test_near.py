"""Texts that say nearly the same are found, others are not, in any language and length."""

import pytest

from harness.preparing.near import Groups, Neighbours, common, likeness, pieces, signature, without

CHINESE = "灯在窗里坐着，雨在窗外走，谁也没有先开口说话，夜就这样深了下去，像一口没有底的井"
ENGLISH = (
    "The river carries both of its banks on its back and never says that they are heavy, until at night it turns over"
)


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        (CHINESE, CHINESE.replace("深了", "浅了"), True),
        (CHINESE, CHINESE[::-1], False),
        (ENGLISH, ENGLISH.upper().replace(",", " , "), True),
        (ENGLISH * 50, ENGLISH * 50 + " and one more line of it", True),
        (
            ENGLISH,
            "The river carries nothing at all, and the banks of it are as light as the night that turns them over",
            False,
        ),
        ("是", "否", False),
        ("", "a", False),
    ],
)
def test_near_texts_are_found(one: str, other: str, near: bool) -> None:
    first, second = signature(pieces(one)), signature(pieces(other))
    assert (likeness(first, second) >= 0.7) is near
    texts = Neighbours()
    texts.near(first, 0.7)
    texts.keep()
    assert texts.near(second, 0.7) == ([0] if near else [])


def test_the_likeness_is_about_the_share_of_pieces_in_common() -> None:
    one, other = pieces("".join(map(chr, range(200, 1200)))), pieces("".join(map(chr, range(400, 1400))))
    shared = len(set(one.tolist()) & set(other.tolist())) / len(set(one.tolist()) | set(other.tolist()))
    assert abs(likeness(signature(one), signature(other)) - shared) < 0.2


def test_what_most_rows_repeat_does_not_make_them_near() -> None:
    rows = [pieces(f"{ENGLISH}: {CHINESE} {number * 7919}") for number in range(60)]
    template = common(rows)
    one, other = (signature(without(row, template)) for row in rows[:2])
    assert likeness(signature(rows[0]), signature(rows[1])) > 0.7 > likeness(one, other)
    assert without(template, template) is template
    assert len(common(rows[:20])) == 0


def test_pairs_join_whole_groups() -> None:
    groups = Groups()
    for pair in (("b", "c"), ("d", "e"), ("c", "d"), ("x", "y"), ("b", "e")):
        groups.join(*pair)
    assert {groups.lead(name) for name in "bcde"} == {"b"} and groups.lead("y") == "x" and groups.lead("z") == "z"
