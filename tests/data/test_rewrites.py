"""A rewrite is told from a refusal, a copy and half a text; inputs that must leave things out do."""

import json
from pathlib import Path

import pytest

from harness.config.paths import ROOT
from harness.data.kinds import Kind
from harness.data.rewrites import Demand, Limits, Rewrite, fault_of, names_within, share_copied
from harness.data.task_talk import stripped

LIMITS = Limits(copied=0.4, length=1.5, kept=0.7, placeholders=0.05)
PASSAGE = (
    "The inspector, a Mr. Hobday of Gloucester, comes on the first of the month with a beautiful leather case. He has "
    'measured my lock thirty times, carefully, and it has not grown. He calls out a number, and I say, "Is that so." '
    "Then tea, and he goes back on the useless little train to Gloucester."
)
CHINESE = "老人每天清晨都坐在河边那张旧木椅上，看着船一只一只地过去。他不说话，也不抽烟，只是把手放在膝盖上等着。"
DEMANDS: dict[str, Demand | None] = {"neutral": None, "plain": "fewer_details", "abstract": "placeholders"}


def kind(text: str, passage: str = PASSAGE, demand: Demand | None = None) -> Kind | None:
    fault = fault_of(Rewrite(text, passage), LIMITS, demand)
    return None if fault is None else fault.kind


def test_inputs_written_by_hand_are_all_taken() -> None:
    passages = json.loads(Path(ROOT / "data" / "persona" / "passages.json").read_text("utf-8"))
    for each in passages:
        for name, demand in DEMANDS.items():
            assert fault_of(Rewrite(each[name], each["passage"]), LIMITS, demand) is None, each[name]
        assert kind(each["passage"], each["passage"]) is Kind.COPIED
        assert kind(each["plain"], each["passage"], "placeholders") is Kind.LEFT_IN


@pytest.mark.parametrize(
    ("text", "passage", "expected"),
    [
        ("I'm sorry, but I can’t help with that.", PASSAGE, Kind.REFUSED),
        ("As an AI, I have no inspector to speak of.", PASSAGE, Kind.REFUSED),
        ("I am an AI language model and cannot have tea.", PASSAGE, Kind.REFUSED),
        ("抱歉，我无法改写这段内容。", CHINESE, Kind.REFUSED),
        ("作为一个人工智能，我不能完成。", CHINESE, Kind.REFUSED),
        ("我是一个大语言模型。", CHINESE, Kind.REFUSED),
        ("The passage describes an inspector.", PASSAGE, Kind.META),
        ("word " * 200 + "end.", PASSAGE, Kind.META),
        (PASSAGE[:150] + " He leaves.", PASSAGE, Kind.COPIED),
        (CHINESE[3:40] + "。", CHINESE, Kind.COPIED),
        ("", PASSAGE, Kind.EMPTY),
        ("…", PASSAGE, Kind.EMPTY),
        ("An official measures a lock each month. He has tea and then he", PASSAGE, Kind.CUT),
        ("有一个人坐着。他看着", CHINESE, Kind.CUT),
        ("An official measures a lock each month. He is given tea.", PASSAGE, None),
        ("有一位老者清早便到水边坐下，望着来往的船只，不言不语。", CHINESE, None),
        ("the inspector's visit", PASSAGE, None),  # a title, as a prompt of one's own may want it
    ],
)
def test_what_is_no_rewrite_has_a_kind(text: str, passage: str, expected: Kind | None) -> None:
    assert kind(text, passage) is expected


def test_what_the_author_says_of_themselves_is_no_refusal() -> None:
    passage = "I'm sorry, but the lock is shut, said she. Nobody answered her from the boat."
    assert kind("A keeper told them: I'm sorry, but it is closed. They said nothing.", passage) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # adjectives gone, though it is long
        ("An inspector from Gloucester visits each month with a case. He has taken the measure of the lock over and "
         "over, and it stays as it was. He names a number and the narrator agrees. He drinks tea and takes a train.",
         None),
        # an adjective left in a long text, and in a short one
        ("An inspector from Gloucester visits each month with a beautiful case. He has taken the measure of the lock "
         "over and over, and it stays as it was. He names a number and the narrator agrees. He drinks tea and leaves.",
         Kind.LEFT_IN),
        ("An inspector with a beautiful case measures a lock. He leaves.", None),
    ],
)  # fmt: skip
def test_dropped_details_are_told_by_length_and_endings(text: str, expected: Kind | None) -> None:
    assert kind(text, demand="fewer_details") is expected


def test_where_no_ending_tells_adjectives_the_length_alone_counts() -> None:
    assert kind("老人在河边看船。", CHINESE, "fewer_details") is None
    assert kind("每一个早上，有位老者会去水旁的旧椅子坐着，望着许多船经过，不言不语，烟也不点，手搁在腿上。", CHINESE,
                "fewer_details") is Kind.LEFT_IN  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("An [OFFICIAL] measures a [STRUCTURE] each [PERIOD] and leaves by [VEHICLE].", None),
        ("An inspector measures a lock each month and leaves by train.", Kind.LEFT_IN),
        ("An [OFFICIAL] from Gloucester measures a [STRUCTURE] each [PERIOD].", Kind.LEFT_IN),
        ("Hobday's [OBJECT] is brought to the [STRUCTURE] each [PERIOD].", Kind.LEFT_IN),
        ("一位[人物]每天在【地点】看着[物品]。", None),
    ],
)
def test_an_abstract_text_has_placeholders_and_no_names(text: str, expected: Kind | None) -> None:
    assert kind(text, demand="placeholders") is expected


def test_names_are_what_stands_capitalised_within_sentences() -> None:
    assert names_within(PASSAGE) == {"Hobday", "Gloucester"}
    assert names_within('"Tell Walter\'s dog," says he. The Lock? I know. Never a lock like mine, Sir.') == {"Walter"}
    assert names_within("老人") == set()


def test_a_copy_is_told_by_its_runs() -> None:
    assert share_copied("a b c d e f", "x a b c d e f y") == 1
    assert share_copied("a b c d e z", "x a b c d e f y") == 0.5
    assert share_copied("b c", "a b c d") == 1 and share_copied("", "a") == 0


@pytest.mark.parametrize(
    "text", ["x" * 90_000, "word\n\n( " * 10_000, "[A" * 45_000, "Here is " + "x" * 90_000, '"x ' * 30_000]
)
def test_a_reply_gone_mad_is_read_like_any(text: str) -> None:
    """With patterns that begin anew at each place these took minutes."""
    told = stripped(text, PASSAGE)
    assert all(kind(told, demand=demand) is not None for demand in ("fewer_details", "placeholders"))
