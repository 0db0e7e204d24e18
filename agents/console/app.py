"""The console: read-only pages over the embedded pipeline, for whoever has the token."""

import secrets
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents import metrics
from agents.console.insight import InsightPages
from agents.console.model import ConsoleModel
from pipeline.runtime.folder import Folder

HERE = Path(__file__).parent
COOKIE = "parcours"
SHOWN = 200
OPEN_PATHS = ("/metrics", "/livez", "/readyz", "/static/")
HEADERS = [
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


def token_of(folder: Path) -> str:
    """Return the folder's token; made once, readable by its owner alone."""
    path = folder / "console.token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()


class Guard:
    """Lets in who has the token: once in the address, then in a cookie that only this site sends."""

    def __init__(self, app: ASGIApp, token: str):
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PATHS):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        said = request.query_params.get("token", "")
        if said and secrets.compare_digest(said.encode(), self.token.encode()):
            response: Response = RedirectResponse(scope["path"], 303)
            response.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            await response(scope, receive, send)
            return
        cookie = request.cookies.get(COOKIE, "")
        if not secrets.compare_digest(cookie.encode(), self.token.encode()):
            answer = PlainTextResponse("401: open the address that the run printed\n", 401)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS]
        await send(message)

    return sending


def build(folder: Folder, engine: Engine) -> Starlette:
    """Return the application over an open data folder and its read model."""
    model = ConsoleModel(folder)
    pages = Jinja2Templates(directory=HERE / "templates")
    pages.env.filters["quote"] = lambda text: quote(text, safe="")

    def page(request: Request, template: str, **more: object) -> HTMLResponse:
        model.refresh()
        common = {"watermark": model.watermark(), "here": request.url.path}
        return pages.TemplateResponse(request, template, {**common, **more})

    def scenarios(request: Request) -> Response:
        model.refresh()
        return page(request, "scenarios.html", scenarios=model.scenarios())

    def messages(request: Request) -> Response:
        model.refresh()
        return page(request, "messages.html", commands=list(model.last), states=model.state)

    def customer(request: Request) -> Response:
        name = request.path_params.get("name") or request.query_params.get("id", "")
        reader = model.reader()
        found = reader.customer(name) if name else None
        timeline = reader.timeline(name) if found else []
        status = 200 if found or not name else 404
        response = page(request, "customer.html", customer=found, name=name, timeline=timeline)
        response.status_code = status
        return response

    def dead_letters(request: Request) -> Response:
        reader = model.reader()
        letters = list(reader.dead_letters(SHOWN))
        return page(request, "dead_letters.html", letters=letters[::-1], total=reader.dead_letter_count())

    def health(request: Request) -> Response:
        return page(request, "health.html", ledger=model.ledger())

    def measured(request: Request) -> Response:
        model.refresh()
        metrics.set_ledger(model.ledger())
        metrics.WATERMARK.labels("0").set(model.reader().watermark() / 1000)
        return metrics.exposition()

    return Starlette(
        routes=[
            Route("/", scenarios),
            Route("/messages", messages),
            Route("/customer", customer),
            Route("/customer/{name:path}", customer),
            Route("/dead-letters", dead_letters),
            Route("/health", health),
            *InsightPages(engine, lambda: model.reader().plan(), page).routes(),
            Route("/metrics", measured),
            *[route for route in metrics.routes(lambda: True) if route.path != "/metrics"],
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard, token=token_of(folder.path))],
    )
