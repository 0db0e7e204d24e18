"""Identifiers and placement: pure functions of what they name, equal on every machine and in every replay."""

from hashlib import blake2b
from zlib import crc32

CUSTOMER_ID_BYTES_MAX = 256


def digest(*parts: str) -> str:
    """Return 32 hex characters that name these parts.

    Every part is prefixed with its length, so that ("ab", "c") and ("a", "bc") differ.
    """
    hasher = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode()
        hasher.update(b"%d:" % len(raw))
        hasher.update(raw)
    return hasher.hexdigest()


def event_id(source: str, kind: str, source_id: str, index: int = 0) -> str:
    """Name a native event by what the source says of it, never by its offset: a repeated record is the same event."""
    return digest("event", source, kind, source_id, str(index))


def content_event_id(source: str, content: bytes, index: int = 0) -> str:
    """Name a native event whose source record has no id of its own by the record's bytes."""
    hasher = blake2b(content, digest_size=16)
    return digest("event", source, hasher.hexdigest(), str(index))


def derived_event_id(parent: str, kind: str, name: str = "") -> str:
    """Name an event that follows from another one (a cart change from an order, a forward from an anonymous event)."""
    return digest("derived", parent, kind, name)


def enrolment_id(scenario: str, entry_event: str) -> str:
    """Name one customer's passage through one scenario by the event that began it."""
    return digest("enrolment", scenario, entry_event)


def command_id(scenario: str, entry_event: str, step: str) -> str:
    """Name one message by (scenario, entry event, step): no version, worker or clock enters it."""
    return digest("command", scenario, entry_event, step)


def chance(share_of: int, *parts: str) -> int:
    """Draw a number in 0..share_of-1 from a hash of the parts: the same at re-entry and in replay."""
    return int(digest("chance", *parts)[:15], 16) % share_of


def partition_of(customer: str, partitions: int) -> int:
    """Place a customer: CRC-32 of the UTF-8 id, modulo the partition count.

    The one hash of the whole system: journal, delivery, decisions, cancels, receipts and changelog agree by it.
    """
    return crc32(customer.encode()) % partitions
