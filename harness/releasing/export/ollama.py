"""The target for Ollama: a model and a Modelfile with its template, system prompt and stop marks.

A template that is not certain is never written. Does not know cards or staging.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from harness.files import write_text
from harness.models.gguf import why_not
from harness.models.stock import FULL, Bits, is_named_as_transformers
from harness.releasing.export.chat_form import NoFormError, form_of, trims
from harness.releasing.export.check import by_curl, expected, whole_prompt
from harness.releasing.export.fusing import write_and_prove
from harness.releasing.export.gguf import write_whole_gguf
from harness.releasing.export.go_template import RAW, Modelfile, can_hold, of_chat, of_one_turn
from harness.releasing.export.job import Exported, Job
from harness.releasing.export.proof import Proof
from harness.releasing.export.subject import Subject
from harness.releasing.export.yardstick import Asking
from harness.sampling.prompts import prompt_for

MODELFILE = "Modelfile"
_AS_HERE = {"repeat_penalty": 1.0, "top_k": 0.0}  # Ollama's own 1.1 and 40 are no sampling of the harness


def export_ollama(job: Job) -> Exported:
    """A Modelfile with a model behind it."""
    subject, name = job.subject, _name(job.subject.slug)
    said = []
    if why_not(subject.base) is None:
        proof, origin = write_whole_gguf(job, f"{subject.slug}.gguf"), f"./{subject.slug}.gguf"
    else:
        proof, origin = write_and_prove(job, job.folder / "model", Bits(how=FULL)), "./model"
        said.append(
            "Ollama converts the folder `model` itself where it knows the architecture; where it does not, "
            "`--to gguf` has llama.cpp's commands, and its file goes behind FROM"
            if is_named_as_transformers(subject.base)
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
        + _checked(job, name, modelfile, proof),
        card_in=job.folder,
        said=[*said, *notes],
    )


def _name(slug: str) -> str:
    """By which Ollama takes it: it knows few characters."""
    return re.sub(r"[^a-z0-9._-]+", "-", slug.lower()).strip("-._") or "adapter"


def modelfile_of(subject: Subject, asking: Asking, origin: str) -> tuple[Modelfile, list[str]]:
    """The Modelfile, and what to know of it. A template that is not certain is never written: then Ollama passes on
    what it gets, byte for byte."""
    tokenizer = subject.base.tokenizer
    template, system, notes = _template(subject, asking)
    config = subject.config
    parameters = dict(_AS_HERE)
    if config is not None:
        parameters |= {"temperature": config.generate.temperature, "top_p": config.generate.top_p}
    modelfile = Modelfile(
        origin=origin,
        template=template,
        system=system,
        stop=tokenizer.end_marks,
        parameters=parameters,
        notes=notes,
    )
    return modelfile, notes


def _template(subject: Subject, asking: Asking) -> tuple[str, str | None, list[str]]:
    """The template, the system prompt that goes with it, and what to know of the two."""
    tokenizer = subject.base.tokenizer
    begin = tokenizer.begin_mark
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
    elif begin:
        notes.append(f"llama.cpp puts {begin} before each prompt, which the model's own template does not write")
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
    notes = [*notes, "it is asked single turns, without a chat template"]
    template = of_one_turn(first, second, after, system=has_system)
    return template, system if has_system else None, notes


def _raw_notes(why: str) -> list[str]:
    return [
        why,
        'so the template passes on what it gets: send whole prompts to /api/generate with "raw": true, as below',
    ]


def _checked(job: Job, name: str, modelfile: Modelfile, proof: Proof) -> str:
    asking = job.yardstick.asking
    options = {"temperature": 0, "num_predict": asking.settings.max_tokens}
    if modelfile.template == RAW:
        path, asked = "generate", {"prompt": whole_prompt(job), "raw": True}
    else:
        unheld = asking.system and not can_hold(asking.system)
        talk = [{"role": "system", "content": asking.system}] if unheld else []
        path, asked = "chat", {"messages": [*talk, {"role": "user", "content": asking.themes[0]}]}
    body = {"model": name, **asked, "stream": False, "options": options}
    return (
        f"\n\nTo check it:\n\n{by_curl(f'http://127.0.0.1:11434/api/{path}', body)}\n\n{expected(job, proof)}"
        "\n\nOllama computes in other precision, so a later word may differ; the first ones must not."
    )
