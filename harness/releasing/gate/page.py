"""What a version says of how it came into use: a page for its description, and tags. Knows verdicts and words."""

from collections.abc import Sequence

from harness.releasing.checks.verdict import Verdict

_MOST = 5000  # characters of a description that every database of MLflow's takes


def page(head: str, verdicts: Sequence[Verdict]) -> str:
    """Markdown: what was promoted and why, the checks in a table, then what each has to tell, as far as it fits."""
    table = ["| check | verdict | figure | limit |", "| --- | --- | --- | --- |"]
    table += [f"| {each.check} | {word(each)} | {_number(each.figure)} | {_number(each.limit)} |" for each in verdicts]
    said = [f"- **{each.check}**: {each.said}" for each in verdicts]
    whole = "\n".join([head, "", *table, "", *said])
    for each in verdicts:
        if each.details:
            lines = "\n".join(["", "", f"### {each.check}", *(f"- {line}" for line in each.details)])
            whole += lines if len(whole) + len(lines) <= _MOST else ""
    return whole[:_MOST]


def tags(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """gate.<check>, and its figure and limit."""
    found: dict[str, str] = {}
    for each in verdicts:
        found[f"gate.{each.check}"] = word(each)
        for name, value in (("figure", each.figure), ("limit", each.limit)):
            if value is not None:
                found[f"gate.{each.check}.{name}"] = f"{value:.6g}"
    return found


def word(verdict: Verdict) -> str:
    return "passed" if verdict.passed else "not run" if verdict.not_run else "refused"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
