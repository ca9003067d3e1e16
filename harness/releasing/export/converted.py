"""The targets that llama.cpp reads in the end: a GGUF file, and a folder for Ollama.

Where mlx-lm's writer of GGUF does for the model, the file is written; else what llama.cpp's own converters take, with
the exact commands. Does not know cards.
"""

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace

from harness.errors import HarnessError
from harness.files import write_text
from harness.models.gguf import read_into, why_not, write_gguf
from harness.models.stock import FULL, Bits, as_base, begin_mark, end_marks, fused_model, is_dialect_kept
from harness.releasing.export.chat_form import NoFormError, form_of, trims
from harness.releasing.export.go_template import RAW, Modelfile, can_hold, of_chat, of_one_turn
from harness.releasing.export.proof import Precision, Proof
from harness.releasing.export.subject import Subject, origin_name
from harness.releasing.export.targets import (
    Exported,
    Job,
    agreeing,
    expected,
    proof_of,
    prove_peft,
    write_and_prove,
    write_named_peft,
)
from harness.releasing.export.yardstick import Asking, Yardstick
from harness.sampling.prompts import prompt_for

SCRIPT = "convert.sh"
MODELFILE = "Modelfile"
_FULL = Bits(how=FULL)


def export_gguf(job: Job) -> Exported:
    """A GGUF file, or what llama.cpp's converters take and a script with the commands."""
    reason = why_not(job.subject.base)
    if reason is None:
        return _written(job)
    job.display.say(f"{reason}: {SCRIPT} has llama.cpp's own commands")
    return _to_convert(job, reason)


def export_ollama(job: Job) -> Exported:
    """A Modelfile with a model behind it."""
    subject, name = job.subject, job.subject.slug.lower()
    said = []
    kept = is_dialect_kept(subject.base)
    if why_not(subject.base) is None:
        proof, origin = _write_gguf(job, f"{subject.slug}.gguf"), f"./{subject.slug}.gguf"
    else:
        proof, origin = write_and_prove(job, job.folder / "model", _FULL), "./model"
        said.append(
            "Ollama converts the folder `model` itself where it knows the architecture; where it does not, "
            "`--to gguf` has llama.cpp's commands, and its file goes behind FROM"
            if kept
            else "mlx-lm names this architecture's weights otherwise than Hugging Face, so Ollama may refuse the "
            "folder `model`; then put the file that `--to gguf` leads to behind FROM"
        )
    modelfile, notes = modelfile_of(subject, job.yardstick.asking, origin)
    for note in notes:
        job.display.say(note)
    write_text(job.folder / MODELFILE, modelfile.text())
    return Exported(
        proof=proof,
        what="A model with the adapter worked in, with a Modelfile for Ollama.",
        relation="finetune",
        library="ollama",
        tags=["lora", "ollama"],
        usage=f"```sh\nollama create {name} -f {MODELFILE}  # smaller: add -q q4_K_M\nollama run {name}\n```"
        + _check_ollama(name, job.yardstick, proof, raw=modelfile.template == RAW),
        card_in=job.folder,
        said=[*said, *notes],
    )


def modelfile_of(subject: Subject, asking: Asking, origin: str) -> tuple[Modelfile, list[str]]:
    """The Modelfile, and what to know of it. A template that is not certain is never written: then Ollama passes on
    what it gets, byte for byte."""
    tokenizer = subject.base.tokenizer
    template, system, notes = _template(subject, asking)
    config = subject.config
    parameters = {} if config is None else {"temperature": config.generate.temperature, "top_p": config.generate.top_p}
    modelfile = Modelfile(
        origin=origin,
        template=template,
        system=system,
        stop=end_marks(tokenizer),
        parameters=parameters,
        notes=notes,
    )
    return modelfile, notes


def _template(subject: Subject, asking: Asking) -> tuple[str, str | None, list[str]]:
    """The template, the system prompt that goes with it, and what to know of the two."""
    tokenizer = subject.base.tokenizer
    begin = begin_mark(tokenizer) or ""
    system, notes = asking.system, []
    if not can_hold(system):
        notes.append("the system prompt cannot stand in a Modelfile as it is: send it with each request")
        system = None
    if not (asking.by_chat_alone and tokenizer.has_template):
        return _one_turn(subject, asking, system, notes)

    def render(messages: Sequence[dict[str, str]]) -> str:
        return tokenizer.render(messages, add_generation_prompt=True)

    try:
        form = form_of(render)
    except NoFormError as error:
        return RAW, None, [*notes, *_raw_notes(f"the chat template cannot be put into Ollama's language: {error}")]
    if trims(form, render):
        notes.append(
            "the model's own template takes white space from the ends of what is said, and Ollama's cannot: send none"
        )
    if begin and form.opening.startswith(begin):
        form = replace(form, opening=form.opening.removeprefix(begin))
        if form.before_system.startswith(begin):
            form = replace(form, before_system=form.before_system.removeprefix(begin))
        notes.append(f"{begin} is left out of the template: llama.cpp puts it before each prompt")
    return of_chat(form), system, notes


def _one_turn(
    subject: Subject, asking: Asking, system: str | None, notes: list[str]
) -> tuple[str, str | None, list[str]]:
    """What the run was asked with is a text of its own: around one theme, without conversations."""
    probe, told = "qthemeq", "qsystemq"
    text = prompt_for(
        subject.base.tokenizer, asking.variant, probe, system=told if asking.system else None, fields=asking.fields
    ).text
    if ("{chat}" in asking.variant.template and subject.base.tokenizer.has_template) or text.count(probe) != 1:
        return RAW, None, [*notes, *_raw_notes("prompts are more than text around what is asked")]
    before, after = text.split(probe)
    if before.count(told) + after.count(told) > 1 or told in after:
        return RAW, None, [*notes, *_raw_notes("prompts say the system prompt elsewhere than before what is asked")]
    has_system = told in before
    first, _, second = before.partition(told)
    notes = [*notes, "the adapter was taught on single turns without the chat template, and is asked so"]
    template = of_one_turn(first, second, after, system=has_system)
    return template, system if has_system else None, notes


def _raw_notes(why: str) -> list[str]:
    return [
        why,
        'so the template passes on what it gets: send whole prompts to /api/generate with "raw": true, as below',
    ]


def _check_ollama(name: str, yardstick: Yardstick, proof: Proof, *, raw: bool) -> str:
    asking = yardstick.asking
    options = {"temperature": 0, "num_predict": asking.settings.max_tokens}
    if raw:
        body = {"model": name, "prompt": yardstick.prompts[0], "raw": True, "stream": False, "options": options}
        path = "generate"
    else:
        messages = [{"role": "user", "content": asking.themes[0]}]
        body = {"model": name, "messages": messages, "stream": False, "options": options}
        path = "chat"
    told = shlex.quote(json.dumps(body, ensure_ascii=False))
    return (
        f"\n\nTo check it:\n\n```sh\ncurl -s http://127.0.0.1:11434/api/{path} -d {told}\n```\n\n"
        + expected(proof, yardstick)
        + "\n\nOllama computes in other precision, so a later word may differ; the first ones must not."
    )


def _written(job: Job) -> Exported:
    file = f"{job.subject.slug}.gguf"
    proof = _write_gguf(job, file)
    return Exported(
        proof=proof,
        what="A model with the adapter worked in, as a GGUF file.",
        relation="finetune",
        library="gguf",
        tags=["lora", "gguf"],
        usage=f"```sh\nllama-cli -m {file} --temp 0 -p '…'\nllama-quantize {file} small.gguf Q4_K_M  # smaller\n```",
        card_in=job.folder,
    )


def _write_gguf(job: Job, name: str) -> Proof:
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
    proof = _as_peft(job, said) if subject.adapter.spec.fine_tune_type == "lora" else None
    peft = proof is not None
    if proof is None:
        proof = write_and_prove(job, job.folder / "model", _FULL)
    script = _script(subject, peft=peft)
    write_text(job.folder / SCRIPT, script)
    (job.folder / SCRIPT).chmod(0o755)
    return Exported(
        proof=proof,
        what="A LoRA adapter in Hugging Face PEFT's format, to be converted to GGUF."
        if peft
        else "A model with the adapter worked in, to be converted to GGUF.",
        relation="adapter" if peft else "finetune",
        library="peft" if peft else "transformers",
        tags=["lora", "gguf"],
        usage=f"With a checkout of llama.cpp, built, run `{SCRIPT}`:\n\n```sh\n{script}```",
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
    name, lora = shlex.quote(subject.slug), shlex.quote(f"{subject.slug}-lora-f16.gguf")
    head = '#!/bin/sh\nset -e\n: "${LLAMA_CPP:?set it to the folder of a built llama.cpp}"\n'
    if not peft:
        return head + (
            f'python "$LLAMA_CPP/convert_hf_to_gguf.py" model --outfile {name}-f16.gguf --outtype f16\n'
            f'"$LLAMA_CPP/build/bin/llama-quantize" {name}-f16.gguf {name}-Q4_K_M.gguf Q4_K_M\n'
            f'"$LLAMA_CPP/build/bin/llama-cli" -m {name}-Q4_K_M.gguf --temp 0\n'
        )
    return head + (
        f': "${{BASE:?set it to the folder of {origin_name(subject.base)}, not quantized, as Hugging Face has it}}"\n'
        f'python "$LLAMA_CPP/convert_lora_to_gguf.py" peft --base "$BASE" --outfile {lora} --outtype f16\n'
        f'python "$LLAMA_CPP/convert_hf_to_gguf.py" "$BASE" --outfile base-f16.gguf --outtype f16\n'
        f'"$LLAMA_CPP/build/bin/llama-quantize" base-f16.gguf base-Q4_K_M.gguf Q4_K_M\n'
        f'"$LLAMA_CPP/build/bin/llama-cli" -m base-Q4_K_M.gguf --lora {lora} --temp 0\n'
    )
