"""What all webhooks share: who speaks is checked first, what was told once is not told again, and what is not ours."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agents.collector.hub import Hub
from agents.collector.limits import Refused, body_of
from agents.collector.machines import is_machine
from pipeline.sending import hearing
from pipeline.sending.hearing import Heard
from pipeline.sending.links import REFERENCE, About, LinkError
from pipeline.sending.tracking import is_web_address

BODY_BYTES_MAX = 1024 * 1024
TOLD_MAX = 2_000
# Providers tell again for up to a day; a clock may be some minutes ahead.
OLD_MS, AHEAD_MS = 24 * 3_600_000 + 600_000, 600_000
# What senders give along, and providers hand back.
NAME = "parcours"
DIGITS_MAX = 12


@dataclass(frozen=True)
class Call:
    """One request as a provider made it: `query` without the question mark, header names in small letters."""

    hub: Hub
    headers: Mapping[str, str]
    query: str
    body: bytes

    def json(self, kind: type) -> Any:
        """Return the body as JSON of a kind."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Refused(400, "body") from None
        if not isinstance(found, kind):
            raise Refused(400, "body")
        return found


@dataclass
class Told:
    """What a call told: `once` names it for replays; `answer` is what the provider wants to hear."""

    once: str
    heard: list[Heard] = field(default_factory=list)
    answer: Response = field(default_factory=lambda: PlainTextResponse("ok\n"))


Listener = Callable[[Call], Awaitable[Told]]


def webhook(hub: Hub, name: str, listen: Listener) -> Route:
    """Return the route of a provider's webhook; `listen` refuses what it cannot believe."""

    async def answer(request: Request) -> Response:
        body = await body_of(request, BODY_BYTES_MAX)
        told = await listen(Call(hub, request.headers, request.url.query, body))
        if hub.seen.get((name, told.once)) is not None:
            raise Refused(409, "replayed")
        if told.heard:
            await hub.hear(told.heard)
        # Only now: what could not be kept may be told again.
        hub.seen.note((name, told.once))
        return told.answer

    return Route(f"/webhooks/{name}", answer, methods=["POST"])


def same(said: str, wanted: str) -> bool:
    """Compare two texts in a time that says nothing of where they differ."""
    return hmac.compare_digest(said.encode(), wanted.encode())


def fresh(hub: Hub, at_ms: int) -> None:
    """Refuse what was signed too long ago, or in the future."""
    age = hub.clock_ms() - at_ms
    if not -AHEAD_MS <= age <= OLD_MS:
        raise Refused(403, "stale")


def unix_ms(said: str) -> int:
    """Return a signed Unix time in ms; 0, which is never fresh, where it is none."""
    return int(said) * 1000 if len(said) <= DIGITS_MAX and said.isascii() and said.isdigit() else 0


def hash_of(body: bytes) -> str:
    """Return the name of a body."""
    return blake2b(body, digest_size=16).hexdigest()


def text(value: Any) -> str:
    """Return a value that should be a text; anything else is empty."""
    return value if isinstance(value, str) else ""


def part(value: Any, *names: str) -> Any:
    """Follow names into objects; None where one is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def about_of(hub: Hub, reference: Any) -> About | None:
    """Return the message that a provider handed back; None where it is none of ours: others may send there too."""
    try:
        return hub.links.open(REFERENCE, text(reference))
    except LinkError:
        return None


def seconds(hub: Hub, value: Any) -> int:
    """Return a provider's Unix time in UTC ms, never after now; now where it is none."""
    now = hub.clock_ms()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return now
    try:
        found = float(value)
        return min(int(found * 1000), now) if 0 < found < 1e11 else now
    except (ValueError, OverflowError):
        return now


def moment(hub: Hub, value: Any) -> int:
    """Return a provider's ISO 8601 time in UTC ms, never after now; now where it is none."""
    now = hub.clock_ms()
    try:
        found = datetime.fromisoformat(text(value))
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return min(max(int(aware.timestamp() * 1000), 0), now)
    except (ValueError, OverflowError):
        return now


@dataclass(frozen=True)
class Said:
    """One thing a provider says of one message, in words of ours.

    `kind` is delivered, opened, clicked, complained, unsubscribed, bounced or soft; `name` is the provider's own.
    """

    about: About
    kind: str
    at: int
    name: str
    reason: str = ""
    agent: str = ""
    url: str = ""
    machine: bool = False


def heard_of(hub: Hub, said: Said) -> Heard:
    """Return what was said as a native record and facts about the address."""
    about, at = said.about, said.at
    match said.kind:
        case "delivered":
            hub.delivered.note(about.command, at)
            return hearing.delivered(about, at, said.name)
        case "opened" | "clicked":
            since = at - (hub.delivered.get(about.command) or about.at)
            machine = said.machine or is_machine("GET", {"user-agent": said.agent}, since)
            if said.kind == "opened":
                return hearing.opened(about, at, machine)
            return hearing.clicked(about, at, said.url if is_web_address(said.url) else "", machine)
        case "complained":
            return hearing.complained(about, at, said.name)
        case "unsubscribed":
            return hearing.unsubscribed(about, at, said.name)
    return hearing.bounced(about, at, said.name, permanent=said.kind == "bounced", reason=said.reason)
