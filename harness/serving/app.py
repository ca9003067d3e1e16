"""The routes: OpenAI's, vLLM's for adapters, health and metrics. Knows HTTP; writes nothing."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from harness.serving.answer import Answer
from harness.serving.fields import read_chat, read_text
from harness.serving.limits import Limits
from harness.serving.loading import Loading
from harness.serving.refusal import RefusalError, as_json
from harness.serving.service import Service
from harness.serving.shelf import Model, Shelf
from harness.serving.values import read_body
from harness.serving.worker import Worker
from harness.web.guard import App, Door, guarded


def create_app(
    service: Service,
    loading: Loading,
    shelf: Shelf,
    worker: Worker,
    *,
    door: Door,
    limits: Limits,
    memory: Callable[[], float],
) -> App:
    """`memory`: bytes that the process holds."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _say_failures(app, service)

    @app.post("/v1/chat/completions")
    @app.post("/chat/completions")  # as mlx_lm.server has it too
    async def chat(request: Request) -> Response:
        return _Sent(await service.chat(read_chat(read_body(await request.body()))))

    @app.post("/v1/completions")
    @app.post("/completions")
    async def text(request: Request) -> Response:
        return _Sent(await service.text(read_text(read_body(await request.body()))))

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": [_described(shelf, model) for model in shelf.models]})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        return JSONResponse(_described(shelf, shelf.find(name)))

    @app.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        body = read_body(await request.body())
        name, path = _text_of(body, "lora_name"), _text_of(body, "lora_path")
        await loading.load(name, path, replace=body.get("load_inplace") is True)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        name = _text_of(read_body(await request.body()), "lora_name")
        loading.unload(name)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    @app.get("/health")
    async def health() -> Response:
        if worker.trouble is not None:
            return JSONResponse({"status": "failed", "why": worker.trouble}, 503)
        if not service.room.open:
            return JSONResponse({"status": "stopping"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def metrics() -> Response:
        gauges = {
            "texts_under_way": ("Texts that are written or wait.", float(service.room.taken)),
            "models": ("Models that are served.", float(len(shelf.models))),
            "adapters_in_memory": ("Adapters, and versions of before that are still written with.", float(shelf.kept)),
            "memory_bytes": ("Memory that the process holds.", memory()),
        }
        return PlainTextResponse(service.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    return guarded(app, door, most_bytes=limits.body_bytes, refusal=as_json)


class _Sent(Response):
    """An answer as FastAPI knows one; it sends itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(scope, receive, send)


def _described(shelf: Shelf, model: Model) -> dict[str, Any]:
    """OpenAI's and vLLM's fields, and what tells one model from another here."""
    weights = model.edition.weights
    adapter = model.typed.reference is not None
    return {
        "id": shelf.label(model),
        "object": "model",
        "created": model.since,
        "owned_by": "harness",
        "root": model.typed.reference or shelf.base_name,
        "parent": shelf.base_name if adapter else None,
        "names": shelf.names(model),
        "reference": model.typed.reference,
        "version": weights.version,
        "run": weights.run,
        "iteration": weights.iteration,
        "scale": model.typed.scale if adapter else None,
        "fingerprint": f"fp_{weights.digest}",
    }


def _text_of(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise RefusalError(400, f"{name} must be a text", param=name, code="invalid_value")
    return value


def _say_failures(app: FastAPI, service: Service) -> None:
    def counted(status: int) -> int:
        service.metrics.requests.add(status=str(status))
        return status

    @app.exception_handler(RefusalError)
    async def refused(request: Any, error: RefusalError) -> JSONResponse:
        service.refused(error)
        return JSONResponse(error.to_json(), error.status, error.headers)

    @app.exception_handler(404)
    async def nowhere(request: Request, error: Any) -> JSONResponse:
        said = f"there is no {request.method} {request.url.path[:200]} here; try /v1/chat/completions or /v1/models"
        return JSONResponse(as_json(404, said, code="unknown_url"), counted(404))

    @app.exception_handler(405)
    async def otherwise(request: Request, error: Any) -> JSONResponse:
        said = f"{request.url.path[:200]} does not take {request.method}"
        return JSONResponse(as_json(405, said, code="method_not_supported"), counted(405))

    @app.exception_handler(Exception)
    async def failed(request: Any, error: Exception) -> JSONResponse:
        return JSONResponse(as_json(500, f"{type(error).__name__}: the server failed"), counted(500))
