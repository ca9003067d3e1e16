"""The target that needs no adapter: a model that it is worked into. What loses the adapter is not written.

Does not know cards or staging.
"""

from pathlib import Path

from harness.errors import HarnessError
from harness.models.base import Base
from harness.models.stock import (
    AS_BASE,
    FULL,
    MIXED,
    NUMBERS,
    Bits,
    as_base,
    fused_model,
    is_quantized,
    load_stock,
    quantization_of,
    write_fused,
)
from harness.releasing.export.check import by_mlx_lm, expected
from harness.releasing.export.job import Exported, Job, proof_of
from harness.releasing.export.proof import Precision, Proof
from harness.releasing.export.yardstick import Reading


def export_fused(job: Job) -> Exported:
    """A model that needs no adapter, read again by mlx_lm.load."""
    proof = write_and_prove(job, job.folder, job.bits)
    return Exported(
        proof=proof,
        what=f"A model with the adapter worked in, {job.bits.said(job.subject.base)}, in mlx-lm's format.",
        relation="finetune",
        library="mlx",
        tags=["lora", "mlx"],
        usage=f"{by_mlx_lm(job, '--model .')}\n\n{expected(job, proof)}",
        card_in=job.folder,
    )


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
    proof = proof_of(yardstick, bare, yardstick.of(load_stock(folder, base)), _limit(bits, base), "mlx_lm.load")
    if not proof.agrees:
        raise _lost(job, bits, bare, proof)
    return proof


def _lost(job: Job, bits: Bits, bare: Reading, proof: Proof) -> HarnessError:
    """With the ways that keep the adapter, each of them measured."""
    for line in proof.lines:
        job.display.say(line)
    wider = (MIXED, "8", FULL) if proof.limit is Precision.QUANTIZED else ()
    tried = {how: _tried(job, Bits(how=how, group_size=bits.group_size), bare) for how in wider if how != bits.how}
    found = [f"--bits={how} keeps {each.kept:.0%}" for how, each in tried.items() if each.agrees]
    for line in _distilling(job, bits) if wider else ():
        job.display.say(line)
    asked = 1 - proof.limit.value
    lost = f"the fused model keeps {proof.kept:.0%} of the adapter's effect, and {asked:.0%} is asked for"
    step = ", ".join(found) or "use the adapter itself: --to=mlx"
    return HarnessError(f"{bits.said(job.subject.base)}, {lost}, so it is not written; {step}")


def _tried(job: Job, bits: Bits, bare: Reading) -> Proof:
    """Without writing it."""
    base = job.subject.base
    job.display.say(f"trying it {bits.said(base)}")
    model = as_base(fused_model(base, job.subject.adapter, bits), base)
    return proof_of(job.yardstick, bare, job.yardstick.losses_of(model), _limit(bits, base), "")


def _limit(bits: Bits, base: Base) -> Precision:
    whole = bits.how == FULL or (bits.how == AS_BASE and not is_quantized(base))
    return Precision.FULL if whole else Precision.QUANTIZED


def _distilling(job: Job, bits: Bits) -> list[str]:
    """The commands of mlx-lm's own way to few bits: it trains the scales of a quantized model after the full one."""
    number = int(bits.how) if bits.how in NUMBERS else quantization_of(job.subject.base)[0]
    return [
        "to have few bits all the same, mlx-lm can train the quantization after the full model (needs mlx-lm[train]): "
        "give this command with --bits=full --out=full-model, and then",
        f"  mlx_lm.dwq --model full-model --bits {number} --group-size {bits.group_size} --mlx-path few-bits",
    ]
