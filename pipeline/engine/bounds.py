"""What a state keeps of a value that an event brings: plain data, bounded.

Plain, because a state in memory must be what it is after it was stored and read again: the same expression gives the
same value on both. Bounded, because a state stays under 64 KiB whatever a source sends.
"""

from typing import Any

import msgspec

# Lists inside events (an invoice can have a thousand lines) are kept this far: a message shows no more.
LIST_KEPT = 20
# An object of a source has a dozen fields; the first 32 by its own order are kept.
FIELDS_KEPT = 32
# Browsers and mail programs cut addresses near here; no other text that a message shows is as long.
TEXT_KEPT = 2_000


def bounded(value: Any) -> Any:
    """Return a value as a state may keep it: records as dicts with their defaults, long lists and texts cut."""
    if isinstance(value, str):
        return value if len(value) <= TEXT_KEPT else value[:TEXT_KEPT]
    if isinstance(value, list | tuple):
        return [bounded(one) for one in value[:LIST_KEPT]]
    if isinstance(value, dict):
        return {bounded(name): bounded(value[name]) for name in list(value)[:FIELDS_KEPT]}
    if isinstance(value, msgspec.Struct):
        return _of_record(value)
    return value


def _of_record(record: msgspec.Struct) -> dict[str, Any]:
    fields = ((name, getattr(record, name)) for name in record.__struct_fields__)
    return {name: bounded(value) for name, value in fields if value is not None}
