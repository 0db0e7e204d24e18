"""The rows of the compacted topic `inbox`: messages, what became of them, and who was forgotten.

A message and its state have keys of their own: a sender that repeats a message after a crash must not undo that it was
read. A state row is moved on by collectors alone.
"""

import msgspec

from models.inbox import InboxItem


class StateRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="state"):
    """What became of a message, until when it matters (UTC ms)."""

    id: str
    customer: str
    state: str
    until: int


class ForgottenRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="forgotten"):
    """A customer who was forgotten: what was emitted up to `at` (UTC ms of log time) is not theirs any more."""

    customer: str
    at: int


class MessageRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="message"):
    """A message that a sender put there."""

    item: InboxItem


InboxRow = MessageRow | StateRow | ForgottenRow
encode_row = msgspec.json.Encoder().encode
decode_row = msgspec.json.Decoder(InboxRow).decode


def message_key(name: str) -> bytes:
    """Return the key of a message."""
    return b"message/" + name.encode()


def state_key(name: str) -> bytes:
    """Return the key of what became of a message."""
    return b"state/" + name.encode()


def key_of(row: InboxRow) -> bytes:
    """Return the key under which a row stands."""
    match row:
        case MessageRow():
            return message_key(row.item.id)
        case StateRow():
            return state_key(row.id)
    return b"forgotten/" + row.customer.encode()
