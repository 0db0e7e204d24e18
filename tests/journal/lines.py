"""Source records for tests of the journal's writing side."""

from collections.abc import Iterable, Iterator

import orjson

from models.event import Event
from models.ids import partition_of
from models.journal import Entry, Tick
from models.mapping import MappingSpec
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.record import SourceRecord
from pipeline.journal.records_clock import IngestState, Input, RecordsIngest, SourcePosition

T0 = 1_700_000_000_000
VALIDATOR = validator_for("EUR")
NATIVE = MappingSpec.model_validate({"mapping": "native", "native": True})
INVOICES = MappingSpec.model_validate(
    {
        "mapping": "invoices",
        "customer": "who",
        "time": {"path": "at", "format": "epoch_ms"},
        "id": ["invoice"],
        "group": {"by": ["invoice", "who"], "items": {"product_id": "sku", "price": "price"}},
        "events": [{"type": "order_placed", "fields": {"order_id": "invoice"}}],
    }
)


def view(customer: str, at: int, **more: object) -> dict[str, object]:
    return {"type": "page_viewed", "customer": customer, "occurred_at": at, **more}


def line(customer: str, at: int, invoice: str, sku: str) -> dict[str, object]:
    return {"who": customer, "at": at, "invoice": invoice, "sku": sku, "price": "2.50"}


def records(rows: Iterable[dict[str, object] | bytes], source: str = "s", partition: int = 0) -> list[SourceRecord]:
    values = [row if isinstance(row, bytes) else orjson.dumps(row) for row in rows]
    return [
        SourceRecord(source=source, partition=partition, offset=offset, value=value)
        for offset, value in enumerate(values)
    ]


def source(found: list[SourceRecord], spec: MappingSpec = NATIVE, state: IngestState | None = None) -> Input:
    """One input, from where the state has it."""
    name, partition = (found[0].source, found[0].partition) if found else ("s", 0)
    positions = state.positions if state else {}
    start = positions.get(f"{name}/{partition}", SourcePosition()).first
    rest: Iterator[SourceRecord] = iter([record for record in found if record.offset >= start])
    return Input(source=name, partition=partition, records=rest, mapper=Mapper(spec, name, VALIDATOR))


def split(rows: list[dict[str, object]], count: int, by: str, name: str = "s") -> list[list[SourceRecord]]:
    """The same rows in so many partitions, placed by customer."""
    parts: list[list[dict[str, object]]] = [[] for _ in range(count)]
    for row in rows:
        parts[partition_of(str(row[by]), count)].append(row)
    return [records(part, name, partition) for partition, part in enumerate(parts)]


def drain(ingest: RecordsIngest, step: int = 1000) -> list[list[Entry]]:
    """All entries by journal partition."""
    entries: list[list[Entry]] = [[] for _ in range(ingest.partitions)]
    while True:
        found = ingest.step(step)
        entries = [kept + more for kept, more in zip(entries, found.entries, strict=True)]
        if found.done:
            return entries


def lives(entries: list[list[Entry]]) -> dict[str, list[tuple[object, ...]]]:
    """What each customer meets: their events in order, each with the watermark that it sees."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for partition in entries:
        watermark = 0
        for one in partition:
            if isinstance(one, Tick):
                watermark = max(watermark, one.before)
            elif isinstance(one, Event):
                told = (one.id, one.type, one.at, one.arrived_at, one.data, watermark)
                found.setdefault(one.customer, []).append(told)
    return found
