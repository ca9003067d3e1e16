"""docs/architectures.md: a row for each architecture. Knows nothing of how its cells came about."""

from collections.abc import Mapping

from tools.architectures.checks import CHECKS, Grade, Outcome

_HEAD = """# Architectures

What the harness does with each architecture that mlx-lm {version} has, tried on a tiny random model of it (four blocks,
in float32, on a CPU): `make architectures` writes this page anew, `python -m tools.architectures --only NAME` tries
one, and a dozen of them are tried by every `make test`. It says that the code works, not that a model learns well.

- **trains**: the loss falls, and each adapted layer learns something.
- **cut**, **head**, **last block**: a step that begins at the adapted blocks, computes the head for learned positions
  only, and what it can of the last block likewise, has the loss and the gradients of a step of the whole model.
- **batches**: texts written together, from prompts of several lengths, are those that mlx-lm writes one by one.
- **resumes**: stopped half-way and taken up again, a run ends with the same bytes.
- **fuses**: mlx-lm takes the adapter, fuses it, and the harness reads what it saves: the same logits all the way.
- **4 bits**: mlx-lm quantizes it, the harness reads that, and it trains with what can be left out.

Presets (`model=…`, in conf/model/) are there for Qwen 2.5, 3 and 3.5, Gemma 3, Llama 3.2, Mistral and Ministral 3,
SmolLM3 and gpt-oss. Where a model has experts, its preset adapts attention and each expert at half the rank, and leaves
alone what chooses them; `lora.keys=null` means every linear layer, as in mlx-lm.

`whole`: a run notices at its start that this would not agree, says so and computes everything. `no`: it is said in a
line. `–`: not tried after that. `fault`: what should not be.

{count} architectures: {trained} train, {cut} of them are cut, {batched} write in batches. Without a model here:
{without}.
"""


def page(outcomes: Mapping[str, Mapping[str, Outcome]], without: Mapping[str, str], version: str) -> str:
    """`outcomes`: of each check, by architecture; `without`: why there is no tiny model of it."""
    head = _HEAD.format(
        version=version,
        count=len(outcomes),
        trained=_count(outcomes, "trains"),
        cut=_count(outcomes, "cut"),
        batched=_count(outcomes, "batches"),
        without=";\n".join(f"`{name}` ({why})" for name, why in without.items()),
    )
    columns = ["architecture", *CHECKS, "why"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    lines += [
        _line([f"`{name}`", *(outcomes[name][check].grade for check in CHECKS), _why(outcomes[name])])
        for name in sorted(outcomes)
    ]
    return head + "\n" + "\n".join(lines) + "\n"


def faults(outcomes: Mapping[str, Mapping[str, Outcome]]) -> list[str]:
    """What should not be, a line each."""
    return [
        f"{name}, {check}: {outcome.why}"
        for name, row in outcomes.items()
        for check, outcome in row.items()
        if outcome.grade is Grade.FAULT
    ]


def _count(outcomes: Mapping[str, Mapping[str, Outcome]], check: str) -> int:
    return sum(row[check].grade is Grade.YES for row in outcomes.values())


def _why(row: Mapping[str, Outcome]) -> str:
    """Each reason once, with the checks that gave it."""
    by_reason: dict[str, list[str]] = {}
    for check, outcome in row.items():
        if outcome.why:
            by_reason.setdefault(outcome.why, []).append(check)
    return "; ".join(f"{', '.join(checks)}: {why}" for why, checks in by_reason.items()).replace("|", "\\|")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
