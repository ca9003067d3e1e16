"""The target that llama.cpp reads. Where mlx-lm's writer of GGUF does for the model, the file is written; else what
llama.cpp's own converters take, with the exact commands. Does not know cards or staging.
"""

import shlex
import shutil

from harness.errors import HarnessError
from harness.files import write_text
from harness.models import builtin
from harness.models.base_names import found_at, origin_of, public_name
from harness.models.gguf import read_into, why_not, write_gguf
from harness.models.stock import FULL, Bits, as_base, fused_model, is_named_as_transformers
from harness.releasing.export.adapters import prove_peft, write_named_peft
from harness.releasing.export.check import by_openai, expected, fenced, messages
from harness.releasing.export.fusing import write_and_prove
from harness.releasing.export.job import Exported, Job, agreeing, proof_of
from harness.releasing.export.proof import Precision, Proof
from harness.releasing.export.subject import Subject

SCRIPT = "convert.sh"
_FULL = Bits(how=FULL)


def export_gguf(job: Job) -> Exported:
    """A GGUF file, or what llama.cpp's converters take and a script with the commands."""
    reason = why_not(job.subject.base)
    if reason is None:
        return _written(job)
    job.display.say(f"{reason}: {SCRIPT} has llama.cpp's own commands")
    return _to_convert(job, reason)


def _written(job: Job) -> Exported:
    file = f"{job.subject.slug}.gguf"
    proof = write_whole_gguf(job, file)
    return Exported(
        proof=proof,
        what="A model with the adapter worked in, as a GGUF file.",
        relation="finetune",
        library="gguf",
        tags=["lora", "gguf"],
        usage=_served(job, proof, f"-m {file}") + f"\n\nSmaller: `llama-quantize {file} small.gguf Q4_K_M`.",
        card_in=job.folder,
    )


def write_whole_gguf(job: Job, name: str) -> Proof:
    """Read back into the model's shape, and measured."""
    subject, yardstick = job.subject, job.yardstick
    bare = yardstick.losses_of(subject.base)
    subject.base.let_go()
    job.display.say("working the adapter into its base, in full precision, and writing it as GGUF")
    model = fused_model(subject.base, subject.adapter, _FULL)
    write_gguf(job.folder / name, model, subject.base)
    read_into(model, job.folder / name)
    reading = yardstick.of(as_base(model, subject.base))
    return agreeing(
        proof_of(yardstick, bare, reading, Precision.FULL, "mx.load, tensor by tensor"), "the adapter on its base"
    )


def _to_convert(job: Job, reason: str) -> Exported:
    subject = job.subject
    said = [f"{reason}; llama.cpp's own converters know it"]
    if dora := subject.adapter.spec.fine_tune_type == "dora":
        said.append("llama.cpp's adapters have no DoRA: it gets the whole model instead")
    proof = None if dora else _as_peft(job, said)
    peft = proof is not None
    if proof is None:
        proof = write_and_prove(job, job.folder / "model", _FULL)
        if not is_named_as_transformers(subject.base):
            said.append(
                "mlx-lm names this architecture's weights otherwise than transformers: the converter may refuse"
            )
    script = _script(subject, peft=peft)
    whole, lora = ("base", f" --lora {_lora(subject)}") if peft else (subject.slug, "")
    write_text(job.folder / SCRIPT, script)
    (job.folder / SCRIPT).chmod(0o755)
    return Exported(
        proof=proof,
        what=f"A {subject.kind} adapter in Hugging Face PEFT's format, to be converted to GGUF."
        if peft
        else "A model with the adapter worked in, to be converted to GGUF.",
        relation="adapter" if peft else "finetune",
        library="peft" if peft else "transformers",
        tags=["lora", "gguf"],
        usage=f"With a checkout of llama.cpp, built, run `{SCRIPT}`:\n\n{fenced(script.strip(), 'sh')}\n\n"
        + _served(job, proof, f"-m {whole}-f16.gguf{lora}")
        + f"\n\n`-m {whole}-Q4_K_M.gguf` is smaller, and may soon write other words.",
        card_in=job.folder,
        said=said,
    )


def _as_peft(job: Job, said: list[str]) -> Proof | None:
    """None where the adapter cannot be said in PEFT's format; adds to what is to be said of it."""
    folder = job.folder / "peft"
    try:
        said += write_named_peft(job, folder)
    except HarnessError as error:
        said.append(f"{error}: llama.cpp gets the whole model instead")
        shutil.rmtree(folder, ignore_errors=True)
        return None
    proof, more = prove_peft(job, folder)
    said += more
    return proof


def _script(subject: Subject, *, peft: bool) -> str:
    name, lora = shlex.quote(subject.slug), shlex.quote(_lora(subject))
    places = {"LLAMA_CPP": "the folder of a built llama.cpp"}
    if peft:
        base = subject.base
        own = base.path in builtin.NAMES  # whose folder nobody else can tell
        folder = found_at(base) if own else f"the folder of {origin_of(base) or public_name(base)}"
        places["BASE"] = f"{folder}, not quantized, as Hugging Face has it"
        commands = [
            f'python "$LLAMA_CPP/convert_lora_to_gguf.py" peft --base "$BASE" --outfile {lora} --outtype f16',
            'python "$LLAMA_CPP/convert_hf_to_gguf.py" "$BASE" --outfile base-f16.gguf --outtype f16',
            '"$LLAMA_CPP/build/bin/llama-quantize" base-f16.gguf base-Q4_K_M.gguf Q4_K_M',
        ]
    else:
        commands = [
            f'python "$LLAMA_CPP/convert_hf_to_gguf.py" model --outfile {name}-f16.gguf --outtype f16',
            f'"$LLAMA_CPP/build/bin/llama-quantize" {name}-f16.gguf {name}-Q4_K_M.gguf Q4_K_M',
        ]
    asked = [f': "${{{place}:?set it to {what}}}"' for place, what in places.items()]
    found = [f'{place}=$(cd "${place}" && pwd)' for place in places]
    return "\n".join(["#!/bin/sh", "set -e", *asked, *found, 'cd "$(dirname "$0")"', *commands]) + "\n"


def _lora(subject: Subject) -> str:
    return f"{subject.slug}-lora-f16.gguf"


def _served(job: Job, proof: Proof, model: str) -> str:
    """How llama.cpp's server is started and asked. `model`: its arguments."""
    args = job.subject.base.template_args
    more = {"chat_template_kwargs": dict(args)} if args and messages(job) is not None else {}
    return (
        f"To use it, and to check it from another terminal:\n\n{fenced(f'llama-server {model} --jinja', 'sh')}\n\n"
        f"{by_openai(job, 'http://127.0.0.1:8080/v1', **more)}\n\n{expected(job, proof)}"
    )
