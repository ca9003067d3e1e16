"""What a version says of the gate."""

from harness.releasing.checks.verdict import CheckKind, Verdict, not_run
from harness.releasing.gate.page import page, tags

PASSED = Verdict(
    check=CheckKind.EXTRACTION, passed=True, figure=0.04, limit=0.1, said="1 of 24 rows", details=["the worst: 河"]
)
REFUSED = Verdict(check=CheckKind.FORGETTING, passed=False, figure=0.5, limit=0.25, said="too much")


def test_tags_hold_each_checks_figure_and_limit() -> None:
    assert tags([PASSED, not_run(CheckKind.MEMORY, "no themes")]) == {
        "gate.extraction": "passed",
        "gate.extraction.figure": "0.04",
        "gate.extraction.limit": "0.1",
        "gate.memory": "not run",
    }


def test_a_page_has_the_table_then_what_each_check_says_then_details() -> None:
    text = page("Update 3.", [PASSED, REFUSED])
    assert text.startswith("Update 3.\n\n| check |")
    assert "| extraction | passed | 0.04 | 0.1 |\n| forgetting | refused | 0.5 | 0.25 |" in text
    assert text.index("- **forgetting**: too much") < text.index("### extraction\n- the worst: 河")


def test_details_that_a_description_has_no_room_for_are_left_out() -> None:
    many = Verdict(
        check=CheckKind.MEMORY, passed=True, figure=None, limit=None, said="little", details=["a long text " * 9] * 99
    )
    text = page("Update 3.", [many, PASSED])
    assert len(text) <= 5000 and "### memory" not in text and "### extraction" in text
