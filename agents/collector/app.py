"""The collector as an ASGI application: who may ask, what is refused, and the heads of every answer."""

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents import metrics
from agents.collector.hub import Hub
from agents.collector.inbox import Inboxes
from agents.collector.limits import Refused
from agents.collector.pages import STYLE_HASH, Pages
from agents.collector.tracking import Tracking
from pipeline.sending.hearing import IntakeError

log = structlog.get_logger()
HEADERS = [
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'".encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    # A link's token stands in the address: no other site is told of it.
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex, nofollow"),
]


class Door:
    """Lets requests in under the limits, and puts the heads on every answer."""

    def __init__(self, app: ASGIApp, hub: Hub):
        self.app = app
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 429."""
        if scope["type"] != "http" or scope["path"] in {"/livez", "/readyz"}:
            await self.app(scope, receive, send)
            return
        client = scope["client"][0] if scope.get("client") else ""
        try:
            self.hub.gate.enter(client)
        except Refused as refused:
            metrics.REFUSED.labels("door", refused.why).inc()
            await PlainTextResponse("429: too many requests\n", 429, {"retry-after": "60"})(scope, receive, send)
            return
        await self.app(scope, receive, self._sending(send, client))

    def _sending(self, send: Send, client: str) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
                if 400 <= message["status"] < 500:
                    self.hub.gate.refused(client)
            await send(message)

        return sending


def build(hub: Hub, *more: Route) -> Starlette:
    """Return the application of a hub; `more` are the routes of the providers whose secrets are known."""
    pages = Pages(hub)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        metrics.REFUSED.labels(_kind(request), error.why).inc()
        if request.url.path.startswith(("/u/", "/p/", "/c/")) and error.status == 404:
            return pages.page("gone.html", "en", 404)
        return PlainTextResponse(f"{error.status}: refused ({error.why})\n", error.status)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        metrics.REFUSED.labels(_kind(request), str(error.status_code)).inc()
        return PlainTextResponse(f"{error.status_code}\n", error.status_code, error.headers)

    async def failed(request: Request, error: Exception) -> Response:
        log.warning("nothing was taken", route=_kind(request), cause=type(error).__name__)
        return PlainTextResponse("503: try again\n", 503, {"retry-after": "30"})

    inbox = Inboxes(hub, hub.inbox).routes() if hub.inbox else []
    probes = [route for route in metrics.routes(lambda: True) if route.path != "/metrics"]
    app = Starlette(
        routes=[*pages.routes(), *Tracking(hub).routes(), *inbox, *more, *probes],
        middleware=[Middleware(Door, hub=hub)],
        exception_handlers={Refused: refused, HTTPException: unknown, IntakeError: failed},
    )
    # A slash too many is no address of ours: nobody is led anywhere by the host that they said.
    app.router.redirect_slashes = False
    return app


def _kind(request: Request) -> str:
    """Return the route of a request, for counters: never a path with a token."""
    first = request.url.path.strip("/").split("/")[0]
    return first if first in {"o", "c", "u", "p", "v1", "webhooks"} else "other"
