"""One export: what it is made from, what comes of it, and what all targets need for that.

Does not know the formats, cards, staging or the command line.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.stock import Bits
from harness.releasing.export.proof import Precision, Proof, compared
from harness.releasing.export.subject import Subject
from harness.releasing.export.yardstick import Reading, Yardstick


class Target(StrEnum):
    PEFT = "peft"
    FUSED = "fused"
    GGUF = "gguf"
    MLX = "mlx"
    OLLAMA = "ollama"
    LMSTUDIO = "lmstudio"


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


def by_chat(job: Job) -> bool:
    """Whether prompts are the model's chat template around what is asked."""
    return job.yardstick.asking.by_chat_alone and job.subject.base.tokenizer.has_template


def by_mlx_lm(job: Job, model: str) -> str:
    """A command that asks the first prompt as the run does."""
    asking = job.yardstick.asking
    if by_chat(job):
        told = f"--prompt {shlex.quote(asking.themes[0])}"
        told += f" --system-prompt {shlex.quote(asking.system)}" if asking.system else ""
        if args := job.subject.base.template_args:
            told += f" --chat-template-config {shlex.quote(json.dumps(dict(args), ensure_ascii=False))}"
    else:
        told = f"--ignore-chat-template --prompt {shlex.quote(job.yardstick.prompts[0])}"
    return f"```sh\nmlx_lm.generate {model} --temp 0 --max-tokens {asking.settings.max_tokens} {told}\n```\n\n"


def expected(proof: Proof, yardstick: Yardstick) -> str:
    """The greedy text of the check prompt."""
    text = (proof.written or yardstick.attached.texts)[0]
    return f"It should answer, greedily:\n\n{fenced(text)}"


def fenced(text: str) -> str:
    """A block of text, fenced by more backticks than are in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
