"""Dead letters on Kafka: the original key, value and headers, with our own headers beside them."""

from typing import Any

from models.dead_letter import DeadLetter

HEADER = "__parcours.errors."
VALUE_BYTES_MAX = 512 * 1024
FIELDS = ("stage", "reason", "path", "source", "partition", "epoch", "offset", "index")


def message_of(letter: DeadLetter) -> dict[str, Any]:
    """Return what to send: key, value, headers."""
    ours = [(HEADER + name, str(getattr(letter, name)).encode()) for name in FIELDS]
    value = letter.value
    if value is not None and len(value) > VALUE_BYTES_MAX:
        # The broker would refuse it for good, and the ingest would meet it for ever: the source still has the rest.
        ours.append((HEADER + "cut_from_bytes", str(len(value)).encode()))
        value = value[:VALUE_BYTES_MAX]
    return {"key": letter.key, "value": value, "headers": [*letter.headers, *ours]}


def letter_of(record: Any) -> dict[str, Any]:
    """Return a dead letter as people read it, from its record."""
    ours = {name.removeprefix(HEADER): value.decode() for name, value in record.headers if name.startswith(HEADER)}
    value = None if record.value is None else record.value.decode(errors="replace")
    numbers = {name: int(ours.get(name, 0)) for name in ("partition", "offset")}
    return {"number": record.offset, **ours, **numbers, "value": value}


def stored_letter(record: Any) -> DeadLetter:
    """Return a dead letter as the embedded run stores it, from its record; `at` is the broker's time (UTC ms)."""
    said = letter_of(record)
    return DeadLetter(
        stage=str(said.get("stage", "")),
        reason=str(said.get("reason", "")),
        path=str(said.get("path", "")),
        source=str(said.get("source", "")),
        partition=int(said["partition"]),
        epoch=int(said.get("epoch", 0)),
        offset=int(said["offset"]),
        index=int(said.get("index", 0)),
        key=record.key,
        value=record.value,
        at=record.timestamp,
    )
