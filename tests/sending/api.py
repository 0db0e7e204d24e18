"""A provider's API on a local port: keeps what it is asked, demands what the real one demands, answers as told."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from models.senders import Secret
from pipeline.sending.outcome import Message, Outcome, Provider
from tests.sending.build import T0

MESSAGE = Message(
    command="0123456789abcdef0123456789abcdef",
    channel="email",
    address="lea@shop.example",
    at=T0,
    marketing=True,
    subject="Votre panier vous attend 🛒 — à bientôt",
    text="Bonjour Léa",
    html="<p>Bonjour Léa</p>",
    sender="Boutique Été <shop@shop.example>",
    reply_to="help@shop.example",
    unsubscribe_url="https://mail.shop.example/u/token",
    customer="c1",
    scenario="abandoned-cart",
    step="reminder",
    reference="ref-1",
)
SMS = replace(MESSAGE, channel="sms", address="+33 6 12 34 56 78", text="Votre panier vous attend 🛒")


@dataclass(frozen=True)
class Answer:
    """What the API answers; `cut` closes the connection instead, `silent` says nothing at all."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes
    form: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def basic(self) -> tuple[str, str]:
        kind, _, rest = self.headers["authorization"].partition(" ")
        assert kind == "Basic"
        user, _, password = base64.b64decode(rest).decode().partition(":")
        return user, password


class Api:
    """The API: `demand` returns an answer where a request lacks something, None where it is as it must be."""

    def __init__(self, good: Answer, demand: Callable[[Seen], Answer | None] = lambda seen: None):
        self.good = good
        self.demand = demand
        self.answers: list[Answer] = []
        self.seen: list[Seen] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        multipart = request.content_type == "multipart/form-data"
        form = {name: _text(value) for name, value in (await request.post()).items()} if multipart else {}
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.path, headers, b"" if multipart else await request.read(), form)
        self.seen.append(seen)
        answer = self.demand(seen) or (self.answers.pop(0) if self.answers else self.good)
        if answer.silent:
            await asyncio.sleep(60)
        if answer.cut:
            assert request.transport is not None
            request.transport.abort()
        if isinstance(answer.body, str):
            return web.Response(status=answer.status, text=answer.body, headers=answer.headers)
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = {"content-type": "application/json", **answer.headers}
        return web.Response(status=answer.status, body=body, headers=headers)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else value.file.read().decode()


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[Api]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    api.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield api
    finally:
        await runner.cleanup()


@asynccontextmanager
async def calling(api: Api, make: Callable[[str], Provider]) -> AsyncIterator[Provider]:
    """Serve an API and give the provider that calls it."""
    async with serving(api):
        provider = make(api.url)
        try:
            yield provider
        finally:
            await provider.close()


def said(outcome: Outcome) -> tuple[str, bool, bool]:
    """Return what matters of an outcome: its state, whether the provider is in trouble, whether it is permanent."""
    return outcome.state, outcome.trouble, outcome.permanent


SECRET = Secret(env="TEST_PROVIDER_SECRET")
