"""What each target is made of: files in a folder, and a proof that they are the adapter on its base.

Knows the targets' formats by name. Does not know cards, staging or the command line.
"""

import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models import peft_stock
from harness.models.adapter import loaded
from harness.models.adapter_files import WEIGHTS_FILE, read_adapter
from harness.models.peft_format import write_peft
from harness.models.plain_adapter import write_plain
from harness.models.stock import (
    AS_BASE,
    FULL,
    MIXED,
    Bits,
    as_base,
    fused_model,
    is_quantized,
    load_stock,
    quantization_of,
    write_fused,
)
from harness.releasing.export.proof import Precision, Proof, compared
from harness.releasing.export.subject import Subject, origin_name, public_path
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


def export_mlx(job: Job) -> Exported:
    """The adapter in mlx-lm's own format, read again by mlx_lm.load on the base."""
    subject, yardstick = job.subject, job.yardstick
    bare = yardstick.losses_of(subject.base)
    subject.base.let_go()
    write_plain(subject.adapter, job.folder, base=public_path(subject.base))
    again = load_stock(subject.base.folder, subject.base, adapter=job.folder)
    proof = proof_of(yardstick, bare, yardstick.of(again), Precision.SAME, "mlx_lm.load")
    found = public_path(subject.base)
    base = found if found and "/" in found else f"path/to/{subject.base_name}"
    return Exported(
        proof=agreeing(proof, "the adapter"),
        what=f"A LoRA adapter in mlx-lm's format ({WEIGHTS_FILE} and adapter_config.json).",
        relation="adapter",
        library="mlx",
        tags=["lora", "mlx"],
        usage=_by_mlx_lm(job, f"--model {base} --adapter-path .") + expected(proof, yardstick),
        card_in=job.folder,
    )


def export_fused(job: Job) -> Exported:
    """A model that needs no adapter, read again by mlx_lm.load."""
    proof = write_and_prove(job, job.folder, job.bits)
    return Exported(
        proof=proof,
        what=f"A model with the adapter worked in, {job.bits.said(job.subject.base)}, in mlx-lm's format.",
        relation="finetune",
        library="mlx",
        tags=["lora", "mlx"],
        usage=_by_mlx_lm(job, "--model .") + expected(proof, job.yardstick),
        card_in=job.folder,
    )


def _by_mlx_lm(job: Job, model: str) -> str:
    """A command that asks the first prompt as the run does."""
    asking = job.yardstick.asking
    if by_chat(job):
        told = f"--prompt {shlex.quote(asking.themes[0])}"
        told += f" --system-prompt {shlex.quote(asking.system)}" if asking.system else ""
    else:
        told = f"--ignore-chat-template --prompt {shlex.quote(job.yardstick.prompts[0])}"
    return f"```sh\nmlx_lm.generate {model} --temp 0 --max-tokens {asking.settings.max_tokens} {told}\n```\n\n"


def by_chat(job: Job) -> bool:
    """Whether prompts are the model's chat template around what is asked."""
    return job.yardstick.asking.by_chat_alone and job.subject.base.tokenizer.has_template


def expected(proof: Proof, yardstick: Yardstick) -> str:
    """The greedy text of the check prompt."""
    text = (proof.written or yardstick.attached.texts)[0]
    return f"It should answer, greedily:\n\n{fenced(text)}"


def fenced(text: str) -> str:
    """A block of text, fenced by more backticks than are in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def export_peft(job: Job) -> Exported:
    """The adapter by the names of Hugging Face's PEFT, read again by peft where it can be."""
    said = write_named_peft(job, job.folder)
    proof, more = prove_peft(job, job.folder)
    return Exported(
        proof=proof,
        what="A LoRA adapter in Hugging Face PEFT's format.",
        relation="adapter",
        library="peft",
        tags=["lora", "peft"],
        usage=_PEFT_USAGE.replace("BASE", origin_name(job.subject.base)),
        card_in=job.folder,
        said=[*said, *more],
    )


_PEFT_USAGE = """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained("BASE")  # the unquantized model, where the base is a quantized one
model = PeftModel.from_pretrained(base, ".")
```"""


def write_named_peft(job: Job, folder: Path) -> list[str]:
    """By names alone: PEFT's file keeps what the adapter says of itself. Returns what to know of it.

    Raises:
        HarnessError: where PEFT has no word for it.
    """
    subject = job.subject
    with tempfile.TemporaryDirectory(prefix=".plain-", dir=job.folder) as plain:
        write_plain(subject.adapter, Path(plain), base=public_path(subject.base))
        return write_peft(read_adapter(Path(plain)), subject.base, folder, base_name=origin_name(subject.base))


def prove_peft(job: Job, folder: Path) -> tuple[Proof, list[str]]:
    """An adapter in PEFT's format, read again by our own reader and by peft, where that is there; and what to say.

    Raises:
        HarnessError: where either makes something else of it.
    """
    subject, yardstick = job.subject, job.yardstick
    bare = yardstick.losses_of(subject.base)
    with loaded(subject.base.model, read_adapter(folder)):
        reading = yardstick.of(subject.base)
    own = "the harness's reader of PEFT"
    proof = agreeing(proof_of(yardstick, bare, reading, Precision.SAME, own), "the adapter")
    if reason := peft_stock.why_not(subject.base):
        return proof, [f"not read by peft itself: {reason}"]
    subject.base.let_go()
    job.display.say("reading it again by peft and transformers, on the CPU")
    reading = yardstick.of_other(peft_stock.OfPeft(folder, subject.base))
    theirs = proof_of(yardstick, bare, reading, Precision.FULL, "peft and transformers, in float32")
    return agreeing(theirs, "the adapter, to peft"), []


def write_and_prove(job: Job, folder: Path, bits: Bits) -> Proof:
    """A fused model in `folder`.

    Raises:
        HarnessError: where it loses the adapter, with what keeps it.
    """
    subject, yardstick = job.subject, job.yardstick
    base = subject.base
    bare = yardstick.losses_of(base)
    base.let_go()
    folder.mkdir(parents=True, exist_ok=True)
    job.display.say(f"working the adapter into its base, {bits.said(base)}")
    write_fused(folder, fused_model(base, subject.adapter, bits), base)
    whole = bits.how == FULL or (bits.how == AS_BASE and not is_quantized(base))
    limit = Precision.FULL if whole else Precision.QUANTIZED
    proof = proof_of(yardstick, bare, yardstick.of(load_stock(folder, base)), limit, "mlx_lm.load")
    if not proof.agrees:
        raise _lost(job, bits, bare, proof)
    return proof


def _lost(job: Job, bits: Bits, bare: Reading, proof: Proof) -> HarnessError:
    """With the ways that keep the adapter, each of them measured."""
    for line in proof.lines:
        job.display.say(line)
    ways = {MIXED: Precision.QUANTIZED, "8": Precision.QUANTIZED, FULL: Precision.FULL}
    found = []
    for how, limit in ways.items():
        other = Bits(how=how, group_size=bits.group_size)
        if how == bits.how or (how == MIXED and bits.how != AS_BASE and not is_quantized(job.subject.base)):
            continue
        job.display.say(f"trying it {other.said(job.subject.base)}")
        model = as_base(fused_model(job.subject.base, job.subject.adapter, other), job.subject.base)
        tried = proof_of(job.yardstick, bare, job.yardstick.losses_of(model), limit, "")
        if tried.agrees:
            found.append(f"--bits={how} keeps {tried.kept:.0%}")
    for line in _distilling(job, bits):
        job.display.say(line)
    asked = 1 - proof.limit.value
    lost = f"the fused model keeps {proof.kept:.0%} of the adapter's effect, and {asked:.0%} is asked for"
    step = ", ".join(found) or "use the adapter itself: --to=mlx"
    return HarnessError(f"{bits.said(job.subject.base)}, {lost}, so it is not written; {step}")


def _distilling(job: Job, bits: Bits) -> list[str]:
    """The commands of mlx-lm's own way to few bits: it trains the scales of a quantized model after the full one."""
    number, group_size = quantization_of(job.subject.base)
    if bits.how.isdigit():
        number, group_size = int(bits.how), bits.group_size
    return [
        "to have few bits all the same, mlx-lm can train the quantization after the full model (needs mlx-lm[train]):",
        f"  python -m harness.export {job.subject.adapter.source} --to fused --bits full --out full-model",
        f"  mlx_lm.dwq --model full-model --bits {number} --group-size {group_size} --mlx-path few-bits",
    ]


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
