"""Each preset trains on the sample shipped for its kind of use, with a base small enough for a test."""

import json
import re
from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np
import pytest

from harness.config.paths import CONF, ROOT
from harness.config.schema import Config
from harness.console.progress import Display
from harness.data.dataset import Row
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base
from harness.run.context import RunPlace
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.sampling.prompts import prompt_for, variants
from harness.sampling.samples import read_samples
from harness.tracking import run_folder
from harness.tracking.store import Store
from tests.conftest import compose_config

MODEL = "tiny"
# what a base of eight blocks cannot have, and no more updates than show that it learns
SMALL = [
    f"model={MODEL}",
    "lora.num_layers=2",
    "train.iters=2",
    "train.save_every=2",
    "train.steps_per_eval=2",
    "train.valid_rows=2",
    "generate.max_tokens=4",
]


@dataclass(frozen=True)
class Use:
    """`theme`: where the user's words stand in the first line; `prompt`: what its samples are written after."""

    preset: str
    words: list[str]
    folder: str
    theme: str
    prompt: str


def _chat(system: str | None) -> str:
    before = "" if system is None else f"<|im_start|>system\n{system}<|im_end|>\n"
    return before + "<|im_start|>user\n{theme}<|im_end|>\n<|im_start|>assistant\n"


_HEADINGS = (
    "### Role:\nYou are the author of the passages that follow.\n\n"
    "### Instruction:\nWrite the input again, in your own voice and rhythm, adding nothing that it does not say.\n\n"
    "### Input:\n{theme}\n\n### Response:\n"
)
_POEM = r"<\|im_start\|>user\n(.*?)<\|im_end\|>"
_CHINESE = _chat("用户会给出一个主题，请按照给定的主题，切实准确简洁且情感丰富地写一首现代诗")
_ENGLISH = _chat(
    "The user gives a theme. Write a modern poem on it: exact and brief, in plain words, and with feeling."
)
_BRIEF = ["data.labels=[plain]", "train.max_seq_length=416"]  # the shortest rows, as far as into the passages
_TALK = ["train.warmup=0", "train.max_seq_length=256"]
USES = {
    "poems": Use("poetry-7b", [], ".", _POEM, _CHINESE),
    "poems, large base": Use("poetry-32b", [], ".", _POEM, _CHINESE),
    "English poems": Use("poetry-7b", ["data=poems_en", "generate=poems_en"], "poems-en", _POEM, _ENGLISH),
    "persona": Use("persona-14b", _BRIEF, "persona", r"### Input:\n(.*?)\n\n### Response", _HEADINGS),
    "conversation": Use("conversation-7b", _TALK, "conversations", r'"content": "(.*?)"\}', _chat(None)),
    "questions": Use("mlx-example", [], "questions", r"Q: (.*?)\nA:", "Q: {theme}\nA:"),
}


@dataclass(frozen=True)
class Tried:
    """A use's preset, and the run of it."""

    use: Use
    config: Config
    session: Session
    done: FinishedRun

    @property
    def base(self) -> Base:
        return self.session.base(self.config.model)

    @property
    def rows(self) -> list[Row]:
        """All of the train split, as long as they are, in the order of `lines`."""
        whole = replace(self.config.train, max_seq_length=2048)
        every = replace(self.config.data, labels=None)
        split = self.session.split(replace(self.config, train=whole, data=every), "train")
        assert split.cut == 0 and split.dropped == []
        return split.rows

    @property
    def lines(self) -> list[dict[str, object]]:
        content = (ROOT / "data" / self.use.folder / "train.jsonl").read_text("utf-8")
        return [json.loads(line) for line in content.splitlines()]


@pytest.fixture(scope="module")
def session(store: Store) -> Session:
    return Session(store, Display())


@pytest.fixture(scope="module", params=USES)
def tried(request: pytest.FixtureRequest, session: Session) -> Tried:
    use = USES[request.param]
    path = [] if "data=poems_en" in use.words else [f"data.path={ROOT / 'data' / use.folder}"]
    config = compose_config(f"experiment={use.preset}", *SMALL, *use.words, *path)
    return Tried(use, config, session, train_run(config, session, RunPlace()))


def test_each_preset_has_a_sample() -> None:
    assert {use.preset for use in USES.values()} == {path.stem for path in (CONF / "experiment").glob("*.yaml")}


def test_it_trains_and_records_metrics_and_adapter(tried: Tried) -> None:
    outcome, config = tried.done.outcome, tried.config
    assert outcome.best.step == 2 and outcome.best.loss < outcome.start.loss
    metrics = tried.session.store.client.get_run(tried.done.run_id).data.metrics
    assert {"valid/loss", "valid/perplexity", "train/loss", "memory/peak_gb"} <= metrics.keys()
    adapter = read_adapter(tried.done.folder / "adapters")
    weights = mx.load(str(adapter.weights))
    assert isinstance(weights, dict)
    layers = {name.split(".")[-2] for name in weights}
    assert config.lora.keys is None or layers == set(config.lora.keys)
    moved = [name for name, value in weights.items() if name.endswith("lora_b") and value.any().item()]
    assert 2 * len(moved) == len(weights) and all(weights[name].shape[0] == config.lora.rank for name in moved)


def test_only_answers_are_learned(tried: Tried) -> None:
    """All of the row where the preset says so."""
    decode = tried.base.tokenizer.decode
    end = decode([tried.base.tokenizer.end_id])
    for row, line in zip(tried.rows, tried.lines, strict=True):
        if tried.config.train.mask_prompt:
            assert decode(row.tokens[row.learn].tolist()) == "".join(f"{answer}{end}" for answer in _answers(line))
        else:
            assert row.learn[1:].all() and decode(row.tokens.tolist()) == f"{line['text']}{end}"


def _answers(line: dict[str, object]) -> list[str]:
    messages, text = line.get("messages"), line.get("text")
    if isinstance(messages, list):
        return [message["content"] for message in messages if message["role"] == "assistant"]
    assert isinstance(text, str)
    answer = re.split(r"<\|im_start\|>assistant\n|### Response:\n", text)[-1]
    return [answer.removesuffix("<|im_end|>")]


def test_samples_are_written_after_what_the_rows_begin_with(tried: Tried) -> None:
    config = tried.config
    samples = read_samples(tried.done.folder / run_folder.SAMPLES)
    assert [sample.prompt for sample in samples] == [
        tried.use.prompt.replace("{theme}", theme) for theme in config.generate.prompts
    ]
    line = tried.lines[0]
    found = re.search(tried.use.theme, str(line.get("text") or json.dumps(line)), re.DOTALL)
    assert found is not None
    prompt = prompt_for(
        tried.base.tokenizer,
        variants(config.prompt, "base")[0],
        found[1],
        system=config.data.system,
        fields=config.prompt.fields,
    )
    ids, row = prompt.ids(tried.base.tokenizer), tried.rows[0]
    assert row.tokens[: len(ids)].tolist() == ids
    assert not config.train.mask_prompt or int(np.argmax(row.learn)) == len(ids)
