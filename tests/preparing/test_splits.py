"""Groups stay on one side, whatever comes after them; every label is scored."""

from collections import Counter

import pytest

from harness.errors import HarnessError
from harness.preparing.splits import Member, Shares, split

MEMBERS = [Member(f"poem {number}", None) for number in range(500)]
SHARES = Shares(valid=0.1, test=0.1, seed=0)


def test_shares_are_about_what_was_asked_for_and_depend_on_the_seed() -> None:
    names = split(MEMBERS, SHARES)
    counts = Counter(names)
    assert 30 <= counts["valid"] <= 70 and 30 <= counts["test"] <= 70
    assert names == split(MEMBERS, SHARES) != split(MEMBERS, Shares(valid=0.1, test=0.1, seed=1))


def test_rows_that_are_added_move_no_other() -> None:
    assert split(MEMBERS, SHARES)[:300] == split(MEMBERS[:300], SHARES)
    assert split(MEMBERS[::-1], SHARES)[::-1] == split(MEMBERS, SHARES)


def test_a_group_is_on_one_side() -> None:
    members = [Member(f"author {number % 40}", None) for number in range(400)]
    sides = {member.group: set[str]() for member in members}
    for member, name in zip(members, split(members, SHARES), strict=True):
        sides[member.group].add(name)
    assert all(len(names) == 1 for names in sides.values())


def test_each_label_is_in_train_and_valid_however_rare() -> None:
    members = [*MEMBERS, *(Member(f"rare {number}", "rare") for number in range(3))]
    names = split(members, SHARES)[-3:]
    assert set(names) == {"train", "valid", "test"}


@pytest.mark.parametrize("seed", range(20))
def test_small_sets_do_not_stray_far_from_what_was_asked_for(seed: int) -> None:
    counts = Counter(split(MEMBERS[:80], Shares(valid=0.1, test=0.1, seed=seed)))
    assert 6 <= counts["valid"] <= 12 and 6 <= counts["test"] <= 12
    few = Counter(split(MEMBERS[:7], Shares(valid=0.1, test=0.1, seed=seed)))
    assert few["valid"] in (1, 2) and few["test"] in (1, 2)


@pytest.mark.parametrize("count", range(2, 12))
def test_few_rows_still_have_one_to_train_on_and_one_to_score(count: int) -> None:
    names = split([Member(str(number), None) for number in range(count)], SHARES)
    assert {"train", "valid"} <= set(names)


def test_one_group_alone_cannot_be_split() -> None:
    with pytest.raises(HarnessError, match="7 rows in 1 groups cannot be split with source.valid=0.1"):
        split([Member("author", None)] * 7, SHARES)
