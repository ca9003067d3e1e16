"""The folder that LM Studio reads: publisher/model, a fused model in mlx-lm's format with its own chat template."""

import json
import shlex

from harness.releasing.export.fusing import write_and_prove
from harness.releasing.export.job import Exported, Job, by_chat, expected

PUBLISHER = "lora-harness"


def export_lmstudio(job: Job) -> Exported:
    """LM Studio asks by the chat template that lies in the folder, so nothing has to be worked out."""
    subject, yardstick = job.subject, job.yardstick
    name = subject.slug
    folder = job.folder / PUBLISHER / name
    proof = write_and_prove(job, folder, job.bits)
    said = []
    if not by_chat(job):
        said.append("the adapter was taught without the chat template: ask it by /v1/completions with whole prompts")
    where = f"put the folder {PUBLISHER} into ~/.lmstudio/models (LM Studio's My Models shows the folder)"
    job.display.say(where)
    return Exported(
        proof=proof,
        what=f"A model with the adapter worked in, {job.bits.said(subject.base)}, in mlx-lm's format, for LM Studio.",
        relation="finetune",
        library="mlx",
        tags=["lora", "mlx", "lmstudio"],
        usage=f"{where[0].upper()}{where[1:]}; it is listed as `{PUBLISHER}/{name}`. On other machines LM Studio reads "
        f"GGUF: put the file of `--to gguf` into a folder of that name.\n\nTo check it, with LM Studio's server on:\n\n"
        f"```sh\ncurl -s http://127.0.0.1:1234/v1/{_request(job, name)}\n```\n\n" + expected(proof, yardstick),
        card_in=folder,
        said=said,
    )


def _request(job: Job, name: str) -> str:
    asking, yardstick = job.yardstick.asking, job.yardstick
    body = {"model": f"{PUBLISHER}/{name}", "temperature": 0, "max_tokens": asking.settings.max_tokens}
    if by_chat(job):
        system = [{"role": "system", "content": asking.system}] if asking.system else []
        body["messages"] = [*system, {"role": "user", "content": asking.themes[0]}]
        path = "chat/completions"
    else:
        body["prompt"] = yardstick.prompts[0]
        path = "completions"
    told = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"{path} -H 'Content-Type: application/json' -d {told}"
