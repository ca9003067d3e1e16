"""One export: what it is made from, what comes of it, and what all targets need for that.

Does not know the formats, cards, staging or the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.stock import Bits
from harness.releasing.export.proof import Precision, Proof, compared
from harness.releasing.export.subject import Subject
from harness.releasing.export.yardstick import Reading, Yardstick


@dataclass(frozen=True, kw_only=True)
class Job:
    """`folder`: to be written into, empty. `bits`: of a model that the adapter is worked into."""

    folder: Path
    subject: Subject
    yardstick: Yardstick
    bits: Bits
    display: Display


@dataclass(frozen=True, kw_only=True)
class Exported:
    """`what`: the files, in a sentence; `relation`: to the base, adapter or finetune; `library`: the card's
    library_name; `usage`: how it is used, as Markdown; `card_in`: the folder that the card goes into; `said`: what
    else to say in the card."""

    proof: Proof
    what: str
    relation: str
    library: str
    tags: Sequence[str]
    usage: str
    card_in: Path
    said: Sequence[str] = ()


def proof_of(yardstick: Yardstick, bare: Reading, exported: Reading, limit: Precision, loader: str) -> Proof:
    """`loader`: what read the export again; empty for what was not written."""
    return compared(
        bare=bare, attached=yardstick.attached, exported=exported, on=yardstick.on, limit=limit, loader=loader
    )


def agreeing(proof: Proof, what: str) -> Proof:
    """Raises: HarnessError where it does not agree."""
    if not proof.agrees:
        raise HarnessError(
            f"what was written is not {what}: it keeps {proof.kept:.0%} of the effect ({proof.lines[0]}); "
            "this is a fault of the harness, please report it with the model's name"
        )
    return proof
