"""The targets that stay an adapter: in mlx-lm's format and in PEFT's. Does not know cards or staging."""

import shlex
import tempfile
from pathlib import Path

from harness.models import peft_stock
from harness.models.adapter import loaded
from harness.models.adapter_files import WEIGHTS_FILE
from harness.models.adapter_reading import read_adapter
from harness.models.base_names import found_at, origin_of, public_name, public_path
from harness.models.peft_format import write_peft
from harness.models.plain_adapter import write_plain
from harness.models.stock import load_stock
from harness.releasing.export.check import by_mlx_lm, expected, fenced
from harness.releasing.export.job import Exported, Job, agreeing, proof_of
from harness.releasing.export.proof import Precision, Proof

_BY_PEFT = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {base!r}
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), ".")

prompt = {prompt!r}
asked = tokenizer(prompt, return_tensors="pt", add_special_tokens={special})
written = model.generate(**asked, do_sample=False, max_new_tokens={most}, eos_token_id={ends})
print(tokenizer.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))"""


def export_mlx(job: Job) -> Exported:
    """The adapter in mlx-lm's own format, read again by mlx_lm.load on the base."""
    subject, yardstick = job.subject, job.yardstick
    bare = yardstick.losses_of(subject.base)
    write_plain(subject.adapter, job.folder, subject.base.model, base=public_path(subject.base))
    subject.base.let_go()
    again = load_stock(subject.base.folder, subject.base, adapter=job.folder)
    proof = proof_of(yardstick, bare, yardstick.of(again), Precision.SAME, "mlx_lm.load")
    return Exported(
        proof=agreeing(proof, "the adapter"),
        what=f"A {subject.kind} adapter in mlx-lm's format ({WEIGHTS_FILE} and adapter_config.json).",
        relation="adapter",
        library="mlx",
        tags=["lora", "mlx"],
        usage=by_mlx_lm(job, f"--model {shlex.quote(found_at(subject.base))} --adapter-path .")
        + f"\n\n{expected(job, proof)}",
        card_in=job.folder,
    )


def export_peft(job: Job) -> Exported:
    """The adapter by the names of Hugging Face's PEFT, read again by peft where it can be."""
    said = write_named_peft(job, job.folder)
    proof, more = prove_peft(job, job.folder)
    return Exported(
        proof=proof,
        what=f"A {job.subject.kind} adapter in Hugging Face PEFT's format.",
        relation="adapter",
        library="peft",
        tags=["lora", "peft"],
        usage=f"{fenced(_by_peft(job), 'python')}\n\n{expected(job, proof)}",
        card_in=job.folder,
        said=[*said, *more],
    )


def _by_peft(job: Job) -> str:
    base, prompt = job.subject.base, job.yardstick.planned[0][1]
    ids = prompt.ids(base.tokenizer)
    return _BY_PEFT.format(
        base=origin_of(base) or found_at(base),
        prompt=prompt.text,
        special=ids != base.tokenizer.encode(prompt.text, special=False).ids,
        most=job.yardstick.asking.settings.max_tokens,
        ends=sorted(base.tokenizer.end_ids),
    )


def write_named_peft(job: Job, folder: Path) -> list[str]:
    """By names alone: PEFT's file keeps what the adapter says of itself. Returns what to know of it.

    Raises:
        HarnessError: where PEFT has no word for it.
    """
    subject = job.subject
    with tempfile.TemporaryDirectory(prefix=".plain-", dir=job.folder) as plain:
        write_plain(subject.adapter, Path(plain), subject.base.model, base=public_path(subject.base))
        name = origin_of(subject.base) or public_name(subject.base)
        return write_peft(read_adapter(Path(plain)), subject.base, folder, base_name=name)


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
    try:
        theirs = peft_stock.OfPeft(folder, subject.base)
    except peft_stock.NotForTransformersError as error:
        return proof, [f"not read by peft itself: {error}"]
    reading = yardstick.of_other(theirs)
    again = proof_of(yardstick, bare, reading, Precision.FULL, "peft and transformers, in float32")
    return agreeing(again, "the adapter, to peft"), []
