"""The folder that LM Studio reads: publisher/model, a fused model in mlx-lm's format with its own chat template."""

from harness.releasing.export.check import by_openai, expected, messages
from harness.releasing.export.fusing import write_and_prove
from harness.releasing.export.job import Exported, Job

PUBLISHER = "lora-harness"


def export_lmstudio(job: Job) -> Exported:
    """LM Studio asks by the chat template that lies in the folder, so nothing has to be worked out."""
    subject = job.subject
    name = subject.slug
    folder = job.folder / PUBLISHER / name
    proof = write_and_prove(job, folder, job.bits)
    said = []
    if messages(job) is None:
        said.append("it is asked without a chat template: by /v1/completions, with whole prompts")
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
        + by_openai(job, "http://127.0.0.1:1234/v1", model=f"{PUBLISHER}/{name}", repeat_penalty=1)
        + f"\n\n{expected(job, proof)}",
        card_in=folder,
        said=said,
    )
