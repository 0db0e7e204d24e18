"""What the journey map keeps of one customer between two events."""

from typing import Any

import msgspec

from models.customer import Cart


class Message(msgspec.Struct, array_like=True, omit_defaults=True):
    """The last message of one kind of touch: when, and which."""

    at: int
    scenario: str
    step: str


class Visit(msgspec.Struct, array_like=True, omit_defaults=True):
    """A visit of a touchpoint whose indicator may still come."""

    at: int
    day: str
    segment: str


class Attempt(msgspec.Struct, array_like=True, omit_defaults=True):
    """One customer on their way through a funnel: `reached` steps are done."""

    id: str
    at: int
    day: str
    reached: int
    device: str
    channel: str
    segment: str


class Visitor(msgspec.Struct, array_like=True, omit_defaults=True):
    """One customer as the map sees them; `place` is the touchpoint of the open session, at `at` (UTC ms).

    `segment` holds the segments of that visit, "vip|buyer:loyal".
    """

    at: int = 0
    place: str = ""
    day: str = ""
    segment: str = ""
    value: int = 0
    cart: Cart = Cart()
    last_order_at: int | None = None
    clicked: Message | None = None
    opened: Message | None = None
    waiting: dict[str, list[Visit]] = {}
    attempts: dict[str, Attempt] = {}
    recent: list[str] = []
    alias_of: str = ""
    shared: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Visitor)


def encode_visitor(visitor: Visitor) -> bytes:
    """Return a visitor as bytes."""
    return _encoder.encode(visitor)


def decode_visitor(raw: bytes | None) -> Visitor:
    """Return a visitor from bytes; a new one from None."""
    return Visitor() if raw is None else _decoder.decode(raw)


def text_of(data: dict[str, Any], name: str) -> str:
    """Return a field as a short text, "" where it is absent."""
    value = data.get(name)
    return str(value)[:64] if value is not None else ""
