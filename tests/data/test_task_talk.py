"""What models say around a text is taken off, and what they say within it is noticed; what is the author's stays."""

import pytest

from harness.data.task_talk import stripped, talk_in

PASSAGE = "We have a heron, or he has us. He stands below the gate."
TEXT = "A heron stands below the gate. It waits there: nobody knows why."


@pytest.mark.parametrize(
    "reply",
    [
        "Here is the rewritten passage:\n\n{}",
        "Here's a neutral version of the text: {}",
        "Sure! Here is the passage without adjectives:\n{}",
        "Certainly.\n\n{}",
        "**Rewritten passage:**\n{}",
        "Output: {}",
        "好的，以下是改写后的段落：\n{}",
        "改写后：{}",
        "```text\n{}\n```",
        "<passage>\n{}\n</passage>",
        '"{}"',
        "“{}”",
        "<think>Hm, adjectives removed?</think>\n{}",
        "{}\n\nLet me know if you would like another version!",
        "{}\n\n(Note: I have removed all adjectives.)",
        "{}\n\n注：名词已替换为占位符。",
        'Sure, here is the rewritten text:\n\n"{}"\n\nI hope this helps!',
    ],
)
def test_talk_around_a_text_is_taken_off(reply: str) -> None:
    assert stripped(reply.format(TEXT), PASSAGE) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "Here is the house that she built: it leans.",
        '"No," she said. "It works."',
        "Note how the water falls.\n\nIt falls at night.",
        "Sure of herself, she went: nobody followed.",
    ],
)
def test_what_a_text_says_itself_stays(text: str) -> None:
    assert stripped(text, PASSAGE) == text and talk_in(text) is None


def test_what_the_passage_begins_like_is_its_own() -> None:
    passage = "Here is the text of the letter: come home."
    assert stripped("Here is the text of the letter: return.", passage) == "Here is the text of the letter: return."


@pytest.mark.parametrize(
    "text",
    [
        "The passage describes a heron that stands below the gate.",
        "A heron stands there. All adjectives have been removed.",
        "Option 1: A heron stands there.\nOption 2: A bird stands there.",
        "这段文字描述了一只鹭。",
        "一只鹭站在那里。名词已替换为占位符。",
    ],
)
def test_talk_within_a_text_is_noticed(text: str) -> None:
    assert talk_in(stripped(text, PASSAGE)) is not None
