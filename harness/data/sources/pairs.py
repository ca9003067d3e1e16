"""Passages of an author with inputs that a model writes of them, as rows of a persona: input → passage.

Knows prompts and the form of rows. What a usable input is stands in harness/data/rewrites.py.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.config.schema import Count, EndpointConfig, Positive, PromptConfig, Share, Text
from harness.console.progress import Display
from harness.data.kinds import Kind
from harness.data.passages import Passage, read_passages
from harness.data.persona_form import Form
from harness.data.rewrites import Demand, Limits
from harness.data.rewriting import Draft, Planned, Question, Writer, planned
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import SettingError
from harness.llm import spending
from harness.llm.cache import ReplyCache
from harness.llm.chat import Chat
from harness.llm.configured import endpoint_of, limits_of
from harness.llm.many import Answers

_NO_SERVER = "http://127.0.0.1/v1"  # what is in the cache needs none
_MARKED = "it has a heading or marker of the prompt's own, so that the turns cannot be told apart"


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings(EndpointConfig):
    """`form`, `template`: the preset that rows are put in. `prompts`: what is asked for the input of each name; null
    leaves one out. `demands`: what those of a name must do besides. The model that writes is asked as judges are.
    """

    form: PromptConfig
    template: Text
    system: Text | None
    passage_fields: Annotated[list[Text], Field(min_length=1)]
    prompts: dict[Text, Text | None]
    demands: dict[Text, Demand | None]
    max_copied: Annotated[float, Field(ge=0, le=1)]
    max_length: Positive
    max_kept: Positive
    placeholders: Share
    attempts: Count

    def __post_init__(self) -> None:
        """Raises: SettingError for what cannot be gone on with, before anything is read."""
        if self.model is None:
            raise SettingError(
                "model",
                "model must name the model that writes the inputs, but is null; say source.model=…, and for another "
                "endpoint than OpenAI's source.base_url=http://127.0.0.1:8080/v1",
            )
        if self.serve and self.base_url is not None:
            rule = "serve=true starts a server of its own; leave out source.base_url, or source.serve"
            raise SettingError("serve", rule)
        if not self.asked:
            raise SettingError("prompts", "prompts must hold at least one that is not null; see conf/source/pairs.yaml")
        for name, prompt in self.asked.items():
            if "{passage}" not in prompt:
                raise SettingError(
                    f"prompts.{name}", f"prompts.{name} must hold {{passage}}, for which each one is put in"
                )
        for name in self.demands:
            if name not in self.prompts:
                names = ", ".join(self.prompts)
                raise SettingError(f"demands.{name}", f"demands.{name} must be of a prompt there is: {names}")
        if self.template not in self.form.templates:
            names = ", ".join(self.form.templates)
            raise SettingError("template", f"template must be one of {names}, but got {self.template}")
        if (wrong := self.shape.wrong) is not None:
            name = f"form.templates.{self.template}"
            raise SettingError(name, f"{name} must {wrong}")

    @property
    def asked(self) -> dict[str, str]:
        return {name: prompt for name, prompt in self.prompts.items() if prompt is not None}

    @property
    def shape(self) -> Form:
        return Form(self.form.templates[self.template], self.system, self.form.fields)

    @property
    def budget(self) -> spending.Limits:
        return limits_of(self, settings="source")

    @property
    def limits(self) -> Limits:
        return Limits(
            copied=self.max_copied, length=self.max_length, kept=self.max_kept, placeholders=self.placeholders
        )


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """A row for each passage and input, in their order.

    Raises:
        HarnessError: when there is nothing to read, or the endpoint cannot be asked.
    """
    chat = _chat(settings, tools, _NO_SERVER if settings.serve else None)  # looks for the key before anything is read
    pieces = [_fit(piece, settings.shape) for piece in read_passages(path, settings.passage_fields, tools.say)]
    wanted = [
        (piece, name, Question(prompt.replace("{passage}", piece.text), piece.text, settings.demands.get(name)))
        for piece in pieces
        if isinstance(piece, Passage)
        for name, prompt in settings.asked.items()
    ]
    written = _written([question for _, _, question in wanted], chat, settings, tools)
    yield from (piece for piece in pieces if isinstance(piece, Rejected))
    for number, (passage, name, _) in enumerate(wanted):
        yield _row(passage, name, written.done.get(number), written.spent, settings)


def _chat(settings: Settings, tools: Tools, served_at: str | None) -> Chat:
    endpoint = endpoint_of(settings, settings="source", served_at=served_at)
    return Chat(endpoint, spending.Spending(settings.budget), ReplyCache(tools.cache / "replies.sqlite"))


def _written(questions: list[Question], chat: Chat, settings: Settings, tools: Tools) -> Answers[Draft]:
    """The drafts, with a line before and after of what they cost."""
    plan = planned(questions, chat)
    tools.say(_before(plan, settings))
    if settings.serve and plan.calls:
        assert settings.model is not None and tools.serve is not None, "see __post_init__, and who made the tools"
        with tools.serve(settings.model) as url:
            return _asked(questions, _chat(settings, tools, url), settings, tools)
    return _asked(questions, chat, settings, tools)


def _asked(questions: list[Question], chat: Chat, settings: Settings, tools: Tools) -> Answers[Draft]:
    writer = Writer(chat, settings.limits, settings.attempts)
    done = 0
    try:
        with Display().texts(len(questions), "writing inputs", "inputs") as shown:

            def tell(draft: Draft) -> None:
                nonlocal done
                done += 1
                shown(0)

            written = writer.write(questions, tell)
    except KeyboardInterrupt:
        tools.say(f"{done} of {len(questions)} inputs are kept; the same command goes on with the rest")
        raise
    tools.say(_after(chat.spending))
    if written.spent is not None:
        tools.say(
            f"warning: {written.spent}: {len(questions) - len(written.done)} of {len(questions)} inputs are missing; "
            "raise it and say the same command again with replace=true: what there is costs nothing"
        )
    return written


def _before(plan: Planned, settings: Settings) -> str:
    cost = settings.budget.price(plan.tokens_in, plan.tokens_out)
    tokens = plan.tokens_in + plan.tokens_out
    budget = settings.budget
    beyond = [
        f"source.max_{name}={limit:g}"
        for name, limit, needed in (
            ("calls", budget.calls, plan.calls),
            ("tokens", budget.tokens, tokens),
            ("cost", budget.cost, cost),
        )
        if limit is not None and needed > limit
    ]
    return (
        f"writing {plan.calls + plan.kept} inputs with {settings.model}: about {plan.calls} calls, "
        f"{tokens / 1000:.0f} thousand tokens{f', {cost:.2f}' if cost else ''}; {plan.kept} are in the cache"
        f"{f'; {beyond[0]} will not do for all' if beyond else ''}"
    )


def _after(spent: spending.Spending) -> str:
    tokens = spent.tokens_in + spent.tokens_out
    return (
        f"{spent.calls} calls ({spent.retries} tried again), {spent.cached} from the cache, "
        f"{tokens / 1000:.1f} thousand tokens{f', {spent.cost:.2f}' if spent.cost else ''}"
    )


def _row(passage: Passage, name: str, draft: Draft | None, spent: str | None, settings: Settings) -> Found | Rejected:
    origin = f"{passage.origin}, {name}"
    if draft is None:
        return Rejected.of(passage.text, origin=origin, kind=Kind.NOT_ASKED, reason=spent or "not asked")
    if draft.fault is not None:
        return Rejected.of(draft.text, origin=origin, kind=draft.fault.kind, reason=draft.fault.reason)
    form = settings.shape
    if not form.tells_turns(draft.text, passage.text):
        return Rejected.of(draft.text, origin=origin, kind=Kind.TEMPLATE, reason=_MARKED)
    prompt = hashlib.sha256((settings.prompts[name] or "").encode()).hexdigest()[:12]
    lineage: dict[str, Any] = {"model": settings.model, "prompt": prompt}
    if passage.lineage:
        lineage["passage"] = dict(passage.lineage)
    group = f"passage {hashlib.sha256(passage.text.encode()).hexdigest()[:16]}"
    return Found(line=form.line(draft.text, passage.text), origin=origin, group=group, label=name, lineage=lineage)


def _fit(piece: Passage | Rejected, form: Form) -> Passage | Rejected:
    """A passage that no row can be made of, whatever its input, is not asked about."""
    if isinstance(piece, Rejected) or form.tells_turns("x", piece.text):
        return piece
    return Rejected.of(piece.text, origin=piece.origin, kind=Kind.TEMPLATE, reason=_MARKED)
