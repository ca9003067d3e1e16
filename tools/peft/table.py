"""docs/peft.md: a row for each architecture. Knows nothing of how its cells came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

YES, AS_BARE, NO = "yes", "as bare", "no"

_HEAD = """# PEFT's format, architecture by architecture

An adapter of the harness as [PEFT's](export.md#peft), held against mlx-lm {mlx-lm}, transformers {transformers} and
peft {peft} on a tiny random model of each architecture: transformers makes it, mlx-lm loads it, a random adapter on the
last two of four blocks (every layer that mlx-lm adapts, experts and what chooses them included) is written for peft,
and the logits of the two are compared in float32, on a CPU. `python -m tools.peft` writes this page anew, `python -m
tools.peft --only NAME` tries one; `make test` tries the most used where peft is installed.

- `yes`: logits agree to 1e-4; what is read back from what peft itself saves is the same to the bit.
- `as bare`: converted, but the two libraries' models differ already without an adapter, by as much.
- `no`: what should not be.

{count} architectures are converted: {yes} agree, {bare} as bare. Refused in a line, by name:

- {refused};
- what both libraries have, but no tiny model here was both libraries': {untried};
- what transformers has no model of.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    lora: str
    dora: str
    why: str

    @property
    def well(self) -> bool:
        return self.lora in (YES, AS_BARE)


def page(rows: Sequence[Row], refused: Mapping[str, str], untried: Sequence[str], versions: Mapping[str, str]) -> str:
    """`refused`: why, by architecture; `versions`: of the libraries, by their names."""
    head = _HEAD.format(
        count=len(rows),
        yes=sum(row.lora == YES for row in rows),
        bare=sum(row.lora == AS_BARE for row in rows),
        refused=";\n- ".join(f"`{name}`: {why}" for name, why in refused.items()),
        untried=", ".join(f"`{name}`" for name in untried),
        **versions,
    )
    lines = ["| architecture | LoRA | DoRA | why |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.lora} | {row.dora} | {row.why.replace('|', chr(92) + '|')} |" for row in rows]
    return head + "\n" + "\n".join(lines) + "\n"
