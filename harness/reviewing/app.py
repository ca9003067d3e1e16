"""The page's server: its files, and what it asks of the desk, as JSON. Knows HTTP; decides nothing.

One thread answers, one question after the other.
"""

import json
from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict

from harness.errors import HarnessError, WriteError
from harness.files import writable
from harness.reviewing.desk import Desk
from harness.reviewing.saying import Fault, Look, Mode, SayingError
from harness.reviewing.standing import Said
from harness.web.guard import App, Door, guarded

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATUS = {Fault.STALE: 409, Fault.UNKNOWN: 404, Fault.REFUSED: 422}
_START = "index.html"


Words = Annotated[str, AfterValidator(writable)]


class Seen(BaseModel):
    """Who asks, and what they have chosen to see."""

    model_config = ConfigDict(extra="forbid")
    reviewer: Words
    mode: Mode = Mode.TEXTS
    theme: Words | None = None
    state: Words = "open"

    @property
    def look(self) -> Look:
        return Look(mode=self.mode, theme=self.theme, state=self.state)


class Asked(Seen):
    """See Desk.view."""

    at: Words | None = None
    step: int = 0


class Saying(Seen):
    """See Desk.say."""

    item: Words
    revision: int
    request: Words
    decision: Words | None
    edited: Words | None = None
    note: Words = ""
    stay: bool = False


class Undoing(Seen):
    """See Desk.undo."""

    newest: int
    request: Words


def create_app(
    desk: Desk,
    door: Door,
    *,
    about: Mapping[str, Any],
    export: Callable[[], list[Path]],
    changed: Callable[[], None] = lambda: None,
) -> App:
    """`about`: what the page knows from the start; `export`: writes the files; `changed`: told after each decision."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _serve_files(app, about)
    _say_failures(app)

    def with_newest(view: dict[str, Any]) -> dict[str, Any]:
        changed()
        return view

    @app.get("/api/view")
    async def view(asked: Annotated[Asked, Query()]) -> dict[str, Any]:
        desk.refresh()
        return desk.view(asked.reviewer, asked.look, asked.at, asked.step)

    @app.post("/api/say")
    async def say(saying: Saying) -> dict[str, Any]:
        said = Said(decision=saying.decision, edited=saying.edited, note=saying.note)
        desk.refresh()
        shown = desk.say(
            saying.reviewer,
            saying.look,
            item=saying.item,
            revision=saying.revision,
            request=saying.request,
            said=said,
            stay=saying.stay,
        )
        return with_newest(shown)

    @app.post("/api/undo")
    async def undo(undoing: Undoing) -> dict[str, Any]:
        return with_newest(desk.undo(undoing.reviewer, undoing.look, newest=undoing.newest, request=undoing.request))

    @app.get("/api/themes")
    async def themes(seen: Annotated[Seen, Query()]) -> list[dict[str, Any]]:
        return desk.themes(seen.reviewer, seen.mode)

    @app.get("/api/measures")
    async def measure(seen: Annotated[Seen, Query()]) -> list[dict[str, Any]]:
        return [share.to_json() for share in desk.measures(seen.reviewer)]

    @app.post("/api/export")
    async def write() -> dict[str, Any]:
        return {"files": [str(file) for file in export()]}

    return guarded(app, door)


def _serve_files(app: FastAPI, about: Mapping[str, Any]) -> None:
    """The page's own files, read once, and no others."""
    for file in files("harness.reviewing").joinpath("page").iterdir():
        kind = _TYPES.get(Path(file.name).suffix)
        if kind is None:
            continue
        path, body = f"/{file.name}", file.read_bytes()
        if file.name == _START:
            said = f'data-about="{escape(json.dumps(about))}"'
            path, body = "/", body.replace(b'data-about=""', said.encode())
        app.get(path)(_sending(body, kind))


def _sending(body: bytes, kind: str) -> Callable[[], Any]:
    async def send() -> Response:
        return Response(body, media_type=kind)

    return send


def _say_failures(app: FastAPI) -> None:
    @app.exception_handler(SayingError)
    async def refused(request: Any, error: SayingError) -> JSONResponse:
        return JSONResponse({"fault": error.fault, "said": str(error)}, _STATUS[error.fault])

    @app.exception_handler(WriteError)
    async def unsaved(request: Any, error: WriteError) -> JSONResponse:
        return JSONResponse({"fault": "unsaved", "said": str(error)}, 503)

    @app.exception_handler(HarnessError)
    async def failed(request: Any, error: HarnessError) -> JSONResponse:
        return JSONResponse({"fault": "failed", "said": str(error)}, 500)

    @app.exception_handler(RequestValidationError)
    async def unreadable(request: Any, error: RequestValidationError) -> JSONResponse:
        where = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return JSONResponse({"fault": Fault.REFUSED, "said": where}, 422)
