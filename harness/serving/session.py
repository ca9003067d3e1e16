"""The command from start to end: references found, the base read, the port served, everything let go of.

Knows where things lie. Does not know what a request looks like.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psutil

from harness.config.paths import CONF
from harness.config.schema import GenerateConfig, ModelConfig, TrackingConfig
from harness.config.yaml_file import read_mapping
from harness.console.interrupt import requests_heeded
from harness.errors import HarnessError
from harness.models.base import Base
from harness.models.common_base import common_base
from harness.models.stacked import StackedAdapters
from harness.models.tokenizer import Tokenizer
from harness.sampling.engine import Engine
from harness.serving.app import create_app
from harness.serving.limits import Limits
from harness.serving.loading import Loader, Loading
from harness.serving.names import Typed, read_word
from harness.serving.registry import Found, Registry
from harness.serving.service import Resident, Service
from harness.serving.shelf import Model, Shelf
from harness.serving.worker import Worker
from harness.tracking.store import open_store
from harness.web.guard import App, Door
from harness.web.listening import link, listening, token_for
from harness.web.server import Server

TOKEN = "HARNESS_SERVE_TOKEN"
_LONGEST_PROMPT = 32_768  # tokens, where the base says no less

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What the command line says. `models`: [name=]reference[=scale] each. `base`: None: what the adapters name.

    `temperature`, `top_p`: of requests that say none; None: as harness.generate. `max_prompt_tokens`: None: what the
    base was made for. `batch_size`: texts written at a time; `queue`: that may wait besides; `grace`: seconds for
    those under way at the end. `log`: whether each request is said. `every`: seconds between two looks at an alias.
    """

    models: Sequence[str]
    base: str | None
    host: str
    port: int
    hosts: Sequence[str]
    temperature: float | None
    top_p: float | None
    max_tokens: int
    max_prompt_tokens: int | None
    batch_size: int
    queue: int
    grace: float
    log: bool
    tracking: TrackingConfig
    every: float = 1.0


def serve_models(serving: Serving, say: Say) -> None:
    """Serve until a Ctrl-C or SIGTERM; then finish what is under way.

    Raises:
        HarnessError: for a model that is not there or does not fit, a taken port, a missing token.
    """
    token = token_for(serving.host, TOKEN)
    with listening(serving.host, serving.port) as listener:
        port = listener.getsockname()[1]
        door = Door(host=serving.host, port=port, token=token, names=tuple(name.lower() for name in serving.hosts))
        with endpoint(serving, door, say) as open_now:
            models = ", ".join(_said(open_now.shelf, model) for model in open_now.shelf.models)
            say(f"serving {link(serving.host, port)}v1: {models}")
            # uvicorn heeds Ctrl-C and SIGTERM; a terminal that closes ends it as they do
            with requests_heeded() as requests, requests.heeding(lambda number: open_now.server.end()):
                open_now.server.serve_on(listener)


@dataclass(frozen=True)
class Endpoint:
    server: Server
    app: App
    shelf: Shelf
    service: Service
    tokenizer: Tokenizer


@contextmanager
def endpoint(serving: Serving, door: Door, say: Say) -> Iterator[Endpoint]:
    """All of it but the port, with the weights in memory."""
    words = _words(serving.models)
    registry = Registry(lambda: open_store(serving.tracking))
    found = {word: registry.find(word.reference) for word in words if word.reference is not None}
    if not found and serving.base is None:
        raise HarnessError("the bare base alone must be named: give it with --model, or an adapter beside none")
    model = ModelConfig(path=serving.base, revision=None)
    base = common_base(model, [each.adapter for each in found.values()], say, setting="--model")
    if base.caveat:
        say(base.caveat)
    with ExitStack() as after:
        resident = _Resident(base, serving.batch_size, say)
        worker = Worker(resident.make, say)
        after.callback(worker.stop)
        worker.start()
        loader = Loader(registry, base, worker, lambda: resident.stacked)
        shelf = _filled(Shelf(base.path, loader.drop), loader, words, found)
        yield _opened(serving, door, say, resident, worker, loader, shelf, after)


def _opened(
    serving: Serving,
    door: Door,
    say: Say,
    resident: "_Resident",
    worker: Worker,
    loader: Loader,
    shelf: Shelf,
    after: ExitStack,
) -> Endpoint:
    context = _context(resident.base)
    limits = Limits(
        rows=serving.batch_size,
        queue=serving.queue,
        prompt_tokens=serving.max_prompt_tokens or min(context or _LONGEST_PROMPT, _LONGEST_PROMPT),
        max_tokens=serving.max_tokens,
    )
    service = Service(
        Resident(tokenizer=resident.base.tokenizer, vocabulary=resident.vocabulary, context=context),
        shelf,
        worker,
        limits=limits,
        defaults=_defaults(serving),
        log=say if serving.log else lambda line: None,
    )
    after.callback(service.close)
    loading = Loading(
        loader, shelf, say=say, moved=lambda label: service.metrics.moves.add(model=label), every=serving.every
    )
    after.callback(loading.close)
    process = psutil.Process()
    app = create_app(
        service, loading, shelf, worker, door=door, limits=limits, memory=lambda: process.memory_info().rss
    )
    tasks: list[asyncio.Task[None]] = []  # a task that nobody holds may be collected

    def begun() -> None:
        loop = asyncio.get_running_loop()
        worker.attend(loop)
        tasks.append(loop.create_task(loading.follow()))

    def ending() -> None:
        """Perhaps in a signal's handler, where nothing may be printed."""
        service.room.close()
        for task in tasks:
            task.get_loop().call_soon_threadsafe(_say_what_is_awaited, service, serving.grace, say)

    server = Server(
        app,
        begun=begun,
        ending=ending,
        cutting=worker.cut,
        busy=lambda: service.busy,
        grace_seconds=serving.grace,
    )
    return Endpoint(server, app, shelf, service, resident.base.tokenizer)


class _Resident:
    """The base and what is on it, made in the thread that they belong into."""

    def __init__(self, base: Base, batch_size: int, say: Say) -> None:
        self.base, self._batch_size, self._say = base, batch_size, say
        self._made = False

    def make(self, lost: Sequence[int]) -> Engine:
        """`lost`: the slots of rows that a former engine had when it failed."""
        if not self._made:
            self.base.materialize()
            self.vocabulary = self.base.vocabulary
            self.stacked = StackedAdapters(self.base.model)
            self._made = True
        for slot in lost:
            self.stacked.release(slot)
        return Engine(
            self.base.model,
            self.base.tokenizer.end_ids,
            batch_size=self._batch_size,
            adapters=self.stacked,
            tell=self._say,
        )


def _words(models: Sequence[str]) -> list[Typed]:
    words = [read_word(word) for word in dict.fromkeys(models)]
    owns = [word.own for word in words if word.own is not None]
    for own in owns:
        if owns.count(own) > 1:
            raise HarnessError(f"{own}=… names {owns.count(own)} models, but a name is of one; choose another")
    return words


def _filled(shelf: Shelf, loader: Loader, words: Sequence[Typed], found: dict[Typed, Found]) -> Shelf:
    for word in words:
        shelf.put(word, loader.put(found[word], word.scale) if word in found else loader.bare())
    return shelf


def _context(base: Base) -> int | None:
    settings: dict[str, Any] = base.settings
    said = settings.get("max_position_embeddings") or (settings.get("text_config") or {}).get("max_position_embeddings")
    return said if isinstance(said, int) and said > 0 else None


def _defaults(serving: Serving) -> GenerateConfig:
    """As harness.generate has them, but for what the command says."""
    usual = GenerateConfig(**read_mapping(CONF / "generate" / "default.yaml"))
    return replace(
        usual,
        temperature=usual.temperature if serving.temperature is None else serving.temperature,
        top_p=usual.top_p if serving.top_p is None else serving.top_p,
    )


def _say_what_is_awaited(service: Service, grace: float, say: Say) -> None:
    if taken := service.room.taken:
        texts = "1 text is" if taken == 1 else f"{taken} texts are"
        say(f"ending when {texts} written, in {grace:g} s at most; Ctrl-C once more ends it now")


def _said(shelf: Shelf, model: Model) -> str:
    weights = model.edition.weights
    more = [model.typed.reference or shelf.base_name]
    more += [f"version {weights.version}"] if weights.version is not None else []
    more += [f"scale {model.typed.scale:g}"] if model.typed.scale != 1 else []
    return f"{shelf.label(model)} ({', '.join(more)})"
