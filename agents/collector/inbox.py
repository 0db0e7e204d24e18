"""The inbox over HTTP: a customer's messages, as the store's page reads them and says what became of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from agents.collector.hub import Hub
from agents.collector.limits import Refused, body_of
from agents.collector.streams import RETRY_MS, Streams, event
from agents.collector.tokens import Bearer, InboxTokens
from models.inbox import InboxItem
from models.settings import SettingsSpec
from pipeline.sending import hearing
from pipeline.sending.hearing import Heard
from pipeline.sending.inbox import InboxStore
from pipeline.sending.links import About
from pipeline.sending.tracking import is_web_address

# What the page says of a message: the word in the address, the state that it means.
WORDS = ("seen", "clicked", "dismissed")
BODY_BYTES_MAX = 1_024
PREFLIGHT_S = 600


@dataclass
class InboxDesk:
    """What the inbox's routes need: where messages are, who may read them, and the pages that may ask."""

    store: InboxStore
    tokens: InboxTokens
    origins: list[str]
    streams: Streams = field(default_factory=Streams)

    def __post_init__(self) -> None:
        self.store.listen(self.streams.told)


def origins_of(settings: SettingsSpec) -> list[str]:
    """Return the origins of the pages that may read the inbox: those named, else that of the store's address."""
    named = settings.senders.web.origins if settings.senders.web else []
    store = urlsplit(settings.store.url)
    return list(named) or ([f"{store.scheme}://{store.netloc}"] if store.netloc else [])


class Inboxes:
    """The routes over one hub that has an inbox."""

    def __init__(self, hub: Hub, desk: InboxDesk):
        self.hub = hub
        self.desk = desk

    def routes(self) -> list[Mount]:
        """Return the routes; a browser lets the pages of the named origins ask, and no others."""
        routes = [
            Route("/inbox", self.messages, methods=["GET"]),
            Route("/inbox/stream", self.stream, methods=["GET"]),
            Route("/inbox/{name}/{word}", self.said, methods=["POST"]),
        ]
        cross = Middleware(
            CORSMiddleware,
            allow_origins=self.desk.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "last-event-id"],
            max_age=PREFLIGHT_S,
        )
        return [Mount("/v1", Router(routes, redirect_slashes=False), middleware=[cross])]

    def _bearer(self, request: Request, *, in_address: bool = False) -> Bearer:
        """Return whose inbox is asked for; a browser's EventSource can say its token in the address alone.

        A page of another site is refused even with a token: a browser would keep the answer from it, but only after
        the messages had been counted as delivered.
        """
        origin = request.headers.get("origin")
        if origin is not None and origin not in self.desk.origins:
            raise Refused(403, "origin")
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            token = request.query_params.get("token", "") if in_address else ""
        return self.desk.tokens.read(token.strip(), self.hub.clock_ms() // 1000)

    async def messages(self, request: Request) -> Response:
        """Answer with the messages that are to be shown, oldest first."""
        customer = self._bearer(request).customer
        items = self.desk.store.of(customer)
        await self._delivered(items)
        return Response(orjson.dumps({"messages": [view(one) for one in items]}), media_type="application/json")

    async def stream(self, request: Request) -> Response:
        """Answer with the messages that are to be shown, or that came after the last one seen, and then with the news.

        A HEAD is answered as Starlette answers it for any GET, without a stream.
        """
        bearer = self._bearer(request, in_address=True)
        customer = bearer.customer
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        last = _number(request.headers.get("last-event-id", ""))
        queue = self.desk.streams.enter(customer)
        try:
            begun = [one for one in self.desk.store.of(customer) if one.number > last]
            await self._delivered(begun)
        except BaseException:
            self.desk.streams.leave(customer, queue)
            raise
        return _Stream(self._events(begun, last, bearer, queue), lambda: self.desk.streams.leave(customer, queue))

    async def _events(self, begun: list[InboxItem], last: int, bearer: Bearer, queue: Any) -> AsyncIterator[bytes]:
        """Yield the events; the stream ends with its token, and the page comes back with a new one."""
        yield b"retry: %d\n\n" % RETRY_MS
        for one in begun:
            yield event("message", view(one), one.number)
            last = one.number
        async for item in self.desk.streams.follow(queue):
            if self.hub.clock_ms() >= bearer.ends_s * 1000:
                return
            if item is None:
                yield b": still here\n\n"
            elif item.state == "dismissed":
                yield event("gone", {"id": item.id})
            elif item.state == "new" and item.number > last:
                await self._delivered([item])
                yield event("message", view(item), item.number)

    async def _delivered(self, items: list[InboxItem]) -> None:
        """Note what reaches the page for the first time."""
        now = self.hub.clock_ms()
        fresh = [one for one in items if one.state == "new"]
        if fresh:
            await self.hub.hear([hearing.delivered(_about(one), now, f"inbox/{one.id}") for one in fresh])
        for one in fresh:
            await self.desk.store.note(one.customer, one.id, "delivered")

    async def said(self, request: Request) -> Response:
        """Take what became of a message; said twice it is heard once."""
        customer = self._bearer(request).customer
        word, name = request.path_params["word"], request.path_params["name"]
        if word not in WORDS:
            raise Refused(404, "word")
        await body_of(request, BODY_BYTES_MAX)
        found = next((one for one in self.desk.store.of(customer) if one.id == name), None)
        if found is None:
            raise Refused(404, "message")
        if found.moved(word) is not None:
            # Heard before it is noted: a crash between the two tells it twice, with one id.
            await self.hub.hear([self._heard(found, word)])
            await self.desk.store.note(customer, name, word)
        return Response(status_code=204)

    def _heard(self, item: InboxItem, word: str) -> Heard:
        about, now = _about(item), self.hub.clock_ms()
        match word:
            case "seen":
                return hearing.opened(about, now, machine=False)
            case "clicked":
                return hearing.clicked(about, now, _link(item), machine=False)
        return hearing.dismissed(about, now)


class _Stream(StreamingResponse):
    """A stream that lets its place go however it ends."""

    def __init__(self, events: AsyncIterator[bytes], left: Any):
        super().__init__(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._left = left

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Stream until the page goes, or the stream is to end."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._left()


def view(item: InboxItem) -> dict[str, Any]:
    """Return a message as the page reads it."""
    return {
        "id": item.id,
        "at": _iso(item.at),
        "until": _iso(item.until),
        "seen": item.state in {"seen", "clicked"},
        "clicked": item.state == "clicked",
        "payload": item.payload,
    }


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _about(item: InboxItem) -> About:
    return About(item.id, item.customer, "web", item.scenario, item.step, item.purpose, item.at)


def _link(item: InboxItem) -> str:
    """Return where a message leads, as far as its payload says it under the usual name."""
    url = item.payload.get("url")
    return url if isinstance(url, str) and is_web_address(url) else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
