"""Publishes a file of history to a topic: values as a file run would name them, timestamps from the mapping."""

import time
from pathlib import Path

from agents.kafka import clients
from agents.kafka.tables import partition_count
from agents.kafka.topics import DAY_MS, retention_ms
from models.ids import partition_of
from models.mapping import MappingSpec
from pipeline.errors import UsageError
from pipeline.intake.files import FileSource
from pipeline.intake.history import records_of
from pipeline.intake.mapper import Mapper, fields_of, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.native import Fault
from pipeline.intake.paths import field_getter
from pipeline.runtime.reading import iso

FLUSH_EVERY = 5_000


async def produce(bootstrap: str, path: Path, mapping: str, topic: str) -> int:
    """Publish every record and return how many; one customer's records keep their order in one partition.

    Records are read for their time and customer alone, whatever events they give: ingest validates them.
    """
    spec = load_mapping(mapping)
    partitions = await partition_count(bootstrap, topic)
    if not partitions:
        raise UsageError(f"the topic {topic} does not exist: make it first")
    kept_ms = (await retention_ms(bootstrap, [topic])).get(topic, -1)
    mapper = reader_of(spec, topic)
    customer = field_getter(spec.customer or "customer")
    sender = clients.producer(bootstrap, linger_ms=20)
    await sender.start()
    count, at = 0, 0
    try:
        for record in records_of(FileSource(path, topic, spec.file.separator), mapper):
            try:
                at = max(at, mapper.time_of(record))
                check_kept(topic, at, kept_ms)
                key = str(customer(fields_of(record), record.value or b"") or "")
            except Fault:
                key = ""
            count += 1
            await sender.send(
                topic, record.value, key=key.encode(), partition=partition_of(key, partitions), timestamp_ms=at
            )
            if count % FLUSH_EVERY == 0:
                await sender.flush()
        await sender.flush()
    finally:
        await sender.stop()
    return count


def check_kept(topic: str, at: int, kept_ms: int) -> None:
    """Refuse what the topic would not keep: the broker deletes it within minutes, and says nothing."""
    if 0 <= kept_ms < time.time_ns() // 1_000_000 - at:
        raise UsageError(
            f"{topic} keeps records for {kept_ms / DAY_MS:g} days, and the file begins on {iso(at)}: the broker would"
            " delete what is older; set the topic's retention.ms to -1, or to longer than that"
        )


def reader_of(spec: MappingSpec, topic: str) -> Mapper:
    """Return what tells a record's time: a mapping whose events, which the store may have declared, are no matter."""
    return Mapper(spec.model_copy(update={"events": []}), topic, validator_for("EUR"))
