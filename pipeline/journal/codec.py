"""Bundles as bytes: JSON, so that a person can read the journal with any console consumer."""

import msgspec

from models.journal import Bundle, Entry

EVENTS_MAX = 500
BYTES_MAX = 512 * 1024
AGE_MS_MAX = 50

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Bundle)


class JournalError(Exception):
    """A journal message cannot be read: it is not ours, or of a newer version."""


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle whose entries are encoded already, each once, when it was added: its size was known before it closed."""

    writer: str
    entries: list[msgspec.Raw]


def encode(bundle: Bundle | Packed) -> bytes:
    """Return a bundle as JSON."""
    return _encoder.encode(bundle)


def pack(entry: Entry) -> bytes:
    """Return one entry as the JSON that stands in its bundle."""
    return _encoder.encode(entry)


def decode(value: bytes) -> Bundle:
    """Return the bundle of a journal message; JournalError names the place of a fault."""
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalError(f"a journal message cannot be read: {error}") from None
