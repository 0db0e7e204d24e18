"""Customers as bytes: two values each, hot and cold, in the changelog and in the local store.

Keys begin with a type byte: h (hot), c (cold), p (progress). Values are msgpack after one byte of state version.
"""

from typing import Any

import msgspec

from models.customer import Cold, Customer
from models.progress import STATE_VERSION, Progress
from pipeline.errors import DataFolderError

HOT, COLD, PROGRESS = b"h", b"c", b"p"
STATE_BYTES_MAX = 64 * 1024
VERSION = bytes([STATE_VERSION])

_HOT_FIELDS = tuple(name for name in Customer.__struct_fields__ if name not in {"id", "cold"})


def _field(name: str) -> Any:
    field = next(one for one in msgspec.structs.fields(Customer) if one.name == name)
    return (name, field.type, field.default)


# One array instead of a map: names would be half of the bytes.
_Hot = msgspec.defstruct("_Hot", [_field(name) for name in _HOT_FIELDS], array_like=True, frozen=True, gc=False)
_encoder = msgspec.msgpack.Encoder()
_hot_decoder = msgspec.msgpack.Decoder(_Hot)
_cold_decoder = msgspec.msgpack.Decoder(Cold)
_progress_decoder = msgspec.msgpack.Decoder(Progress)
EMPTY_COLD = Cold()


def hot_key(customer: str) -> bytes:
    """Return the key of a customer's hot value."""
    return HOT + customer.encode()


def cold_key(customer: str) -> bytes:
    """Return the key of a customer's cold value."""
    return COLD + customer.encode()


def encode_hot(customer: Customer) -> bytes:
    """Return the hot value."""
    return VERSION + _encoder.encode(_Hot(*[getattr(customer, name) for name in _HOT_FIELDS]))


def encode_cold(customer: Customer) -> bytes:
    """Return the cold value."""
    return VERSION + _encoder.encode(customer.cold)


def _body(raw: bytes, what: str) -> bytes:
    if raw[0] > STATE_VERSION:
        raise DataFolderError(
            f"{what} is of state version {raw[0]}, this release reads up to {STATE_VERSION}: run a newer release"
        )
    return raw[1:]


def decode_customer(name: str, hot: bytes, cold: bytes | None) -> Customer:
    """Return a customer from their two values."""
    found = _hot_decoder.decode(_body(hot, "a customer"))
    known = _cold_decoder.decode(_body(cold, "a customer")) if cold is not None else EMPTY_COLD
    return Customer(id=name, cold=known, **_fields(found))


def _fields(hot: Any) -> dict[str, Any]:
    return {name: getattr(hot, name) for name in _HOT_FIELDS}


def encode_progress(progress: Progress) -> bytes:
    """Return a progress record."""
    return VERSION + _encoder.encode(progress)


def decode_progress(raw: bytes) -> Progress:
    """Return a progress record from its bytes; DataFolderError for one of a newer release."""
    return _progress_decoder.decode(_body(raw, "the progress record"))
