"""A record that could not be used, kept whole with the reason."""

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The original record and why it stopped here; identified by its position, which the ledger counts.

    On Kafka key, value and headers are the original's, and these fields travel as headers `__parcours.errors.*`.
    `path` is the place inside the record (a JSON path, a column), `stage` one of intake, mapping, engine, sending.
    """

    stage: str
    reason: str
    source: str
    partition: int = 0
    epoch: int = 0
    offset: int = 0
    index: int = 0
    path: str = ""
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = []
    at: int = 0
