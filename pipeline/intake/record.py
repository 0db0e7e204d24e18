"""One record of a source, as it was read."""

from typing import Any

import msgspec


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record with its place; `timestamp_ms` is Kafka's (UTC ms), None for a line of a file.

    `fields` is the parsed value where the reader has it already (a CSV row); `value` are the bytes that name it.
    `fault` says why a reader could not make a record of what it read.
    """

    source: str
    partition: int = 0
    epoch: int = 0
    offset: int
    timestamp_ms: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = []
    fields: dict[str, Any] | None = None
    fault: str = ""
