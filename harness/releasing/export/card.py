"""The model card that goes with an export: README.md with a head in YAML, as hubs read it.

Says what is recorded and what was measured, and no path of this machine. Does not know how the export was made.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.config.schema import TrainConfig
from harness.models.base_names import head_of_card
from harness.releasing.export.check import fenced
from harness.releasing.export.job import Exported
from harness.releasing.export.subject import Subject, without_paths
from harness.releasing.export.yardstick import Yardstick

CARD = "README.md"
_SAMPLES = 3
_LONGEST = 600  # characters of a sample
_FIGURES = {
    "valid/loss": "validation loss of exactly these weights",
    "valid/left_out_loss": "validation loss on rows that did not choose",
    "test/loss": "test loss",
    "judge/win_rate": "share of anchors beaten, by the judge",
    "judge/agreement_with_person": "pairs that the judge puts in a person's order",
}
_ERRORS = {"judge/win_rate": "judge/win_rate_stderr"}


def card(subject: Subject, exported: Exported, yardstick: Yardstick) -> str:
    """The whole text."""
    parts = [
        _head(subject, exported),
        f"# {subject.slug}\n\n{exported.what} Base: `{subject.base_name}`"
        + (f" at `{subject.adapter.spec.base_revision}`." if subject.adapter.spec.base_revision else "."),
        "## Use\n\n" + exported.usage + _asked(subject, yardstick),
        "## Measured\n\n" + _measured(subject, exported),
        "## Samples\n\nGreedy, by the exported files.\n\n" + "\n\n".join(_samples(exported, yardstick)),
        "## Training\n\n" + _training(subject),
    ]
    if page := _version(subject):
        parts.append("## Registered\n\n" + page)
    return "\n\n".join(parts) + "\n"


def _head(subject: Subject, exported: Exported) -> str:
    known = head_of_card(subject.base)
    head: dict[str, Any] = {
        "base_model": subject.base_name,
        "base_model_relation": exported.relation,
        "library_name": exported.library,
        "pipeline_tag": "text-generation",
        "tags": list(exported.tags),
    }
    for key in ("license", "license_name", "license_link", "language"):
        if key in known:
            head[key] = known[key]
    if data := _data(subject):
        head["datasets"] = [data]
        head["training_data"] = [
            {"name": data, "split": split, "digest": digest} for split, digest in _digests(subject).items()
        ]
    text = yaml.safe_dump(head, allow_unicode=True, sort_keys=False)
    return f"---\n{text}---"


def _data(subject: Subject) -> str | None:
    if subject.config is None:
        return None
    return Path(subject.config.data.path).expanduser().resolve().name


def _digests(subject: Subject) -> Mapping[str, str]:
    found = {name: split.tokens for name, split in subject.record.splits.items()}
    trained = subject.record.train_digest
    return found or ({"train": trained} if trained else {})


def _asked(subject: Subject, yardstick: Yardstick) -> str:
    """How it is asked, and what to expect."""
    asking = yardstick.asking
    said = [f"\n\nSystem prompt:\n\n{fenced(asking.system)}" if asking.system else ""]
    if not asking.by_chat_alone:
        said.append(f"\n\nIt was taught on prompts of this form, byte for byte:\n\n{fenced(asking.variant.template)}")
    elif args := subject.base.template_args:
        said.append(f"\n\nIts chat template was given `{json.dumps(dict(args), ensure_ascii=False)}` in training.")
    return "".join(said)


def _measured(subject: Subject, exported: Exported) -> str:
    proof = exported.proof
    rows = [f"- {text}: {figure}" for text, figure in _figures(subject.record.metrics)]
    loader = f", read again by {proof.loader}" if proof.loader else ""
    rows.append(f"- this export{loader}:")
    rows += [f"  - {line}" for line in proof.lines]
    rows += [f"- {without_paths(line)}" for line in [*exported.said, subject.unread, *subject.notes] if line]
    return "\n".join(rows)


def _figures(metrics: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for name, said in _FIGURES.items():
        if name in metrics:
            error = _ERRORS.get(name, "")
            yield (
                f"{said} (`{name}`)",
                f"{metrics[name]:.4f}" + (f" ± {metrics[error]:.4f}" if error in metrics else ""),
            )


def _samples(exported: Exported, yardstick: Yardstick) -> Sequence[str]:
    found = zip(yardstick.asking.themes, exported.proof.written or yardstick.attached.texts, strict=False)
    return [f"{_inline(theme)}\n\n{fenced(text[:_LONGEST])}" for theme, text in list(found)[:_SAMPLES]]


def _training(subject: Subject) -> str:
    spec, config = subject.adapter.spec, subject.config
    lines = [
        f"- {subject.kind}, rank {spec.rank}, scale {spec.scale:g} (alpha {spec.scale * spec.rank:g}), "
        + ("every block" if spec.num_layers <= 0 else f"the last {spec.num_layers} blocks")
        + (f", on {', '.join(f'`{key}`' for key in spec.keys)}" if spec.keys else "")
    ]
    if config is not None:
        train = config.train
        lines.append(
            f"- {_length(train)}, batch {train.batch_size}, learning rate {train.learning_rate:g}, "
            f"at most {train.max_seq_length} tokens a row, seed {train.seed}"
            + ("; only answers are learned" if train.mask_prompt else "")
        )
    if subject.adapter.iteration is not None:
        lines.append(f"- these weights were saved after update {subject.adapter.iteration}")
    if data := _data(subject):
        digests = "".join(f", {split} `{digest}`" for split, digest in _digests(subject).items())
        lines.append(f"- data: `{data}`{digests}")
    if subject.record.run:
        lines.append(f"- MLflow run `{subject.record.run}`")
    return "\n".join(lines)


def _length(train: TrainConfig) -> str:
    return f"{train.epochs:g} epochs" if train.iters is None else f"{train.iters} updates"


def _version(subject: Subject) -> str:
    """What the registry says of the version, the gate's record with it."""
    version = subject.record.version
    if version is None:
        return ""
    gate = f"Gate: {version.tags['gate']}" if "gate" in version.tags else "No gate was asked."
    return "\n\n".join(without_paths(part) for part in (version.said, gate, version.page) if part)


def _inline(text: str) -> str:
    return "> " + text.replace("\n", "\n> ")
