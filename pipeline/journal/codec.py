"""Bundles as bytes: JSON, so that a person can read the journal with any console consumer."""

import msgspec

from models.journal import Bundle

EVENTS_MAX = 500
BYTES_MAX = 512 * 1024
AGE_MS_MAX = 50

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Bundle)


class JournalError(Exception):
    """A journal message cannot be read: it is not ours, or of a newer version."""


def encode(bundle: Bundle) -> bytes:
    """Return a bundle as JSON."""
    return _encoder.encode(bundle)


def decode(value: bytes) -> Bundle:
    """Return the bundle of a journal message; JournalError names the place of a fault."""
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalError(f"a journal message cannot be read: {error}") from None
