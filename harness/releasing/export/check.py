"""The prompt that an export is checked by: how each program is asked it greedily, and the text to expect.

Does not know what was exported.
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from harness.models.tokenizer import Message
from harness.releasing.export.job import Job
from harness.releasing.export.proof import Proof


def messages(job: Job) -> list[Message] | None:
    """The conversation that the model's chat template makes the prompt of; None where a run asks otherwise."""
    asking, tokenizer = job.yardstick.asking, job.subject.base.tokenizer
    if not (asking.by_chat_alone and tokenizer.has_template):
        return None
    system = [{"role": "system", "content": asking.system}] if asking.system else []
    return tokenizer.accepted([*system, {"role": "user", "content": asking.themes[0]}])


def whole_prompt(job: Job) -> str:
    """Without the mark at its beginning that tokenizers put before what they are given."""
    return job.yardstick.prompts[0].removeprefix(job.subject.base.tokenizer.begin_mark)


def by_mlx_lm(job: Job, model: str) -> str:
    """A command that asks as the run does."""
    talk = messages(job)
    if talk is None:
        told = f"--ignore-chat-template --prompt={shlex.quote(whole_prompt(job))}"
    else:
        told = f"--prompt={shlex.quote(talk[-1]['content'])}"
        told += f" --system-prompt={shlex.quote(talk[0]['content'])}" if talk[0]["role"] == "system" else ""
        if args := job.subject.base.template_args:
            told += f" --chat-template-config {shlex.quote(_json(dict(args)))}"
    return _shell(f"mlx_lm.generate {model} --temp 0 --max-tokens {_most(job)} {told}")


def by_openai(job: Job, url: str, **more: Any) -> str:
    """A request to a server with OpenAI's endpoints at `url`, with `more` in it."""
    talk = messages(job)
    asked = {"prompt": whole_prompt(job)} if talk is None else {"messages": talk}
    path = "completions" if talk is None else "chat/completions"
    return by_curl(f"{url}/{path}", {**more, "temperature": 0, "max_tokens": _most(job), **asked})


def by_curl(url: str, body: Mapping[str, Any]) -> str:
    return _shell(f"curl -s {url} -H 'Content-Type: application/json' -d {shlex.quote(_json(body))}")


def expected(job: Job, proof: Proof) -> str:
    """The greedy text of the prompt."""
    text = (proof.written or job.yardstick.attached.texts)[0]
    return f"It should answer, greedily:\n\n{fenced(text)}"


def fenced(text: str, of: str = "text") -> str:
    """A block of text, fenced by more backticks than are in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{of}\n{text}\n{fence}"


def _most(job: Job) -> int:
    return job.yardstick.asking.settings.max_tokens


def _shell(command: str) -> str:
    return fenced(command, "sh")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
