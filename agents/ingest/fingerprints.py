"""Is a source partition still the one that was read? A fingerprint of the last record read, kept with the offset.

A topic that was deleted and made anew, or a group whose offsets somebody set, would otherwise be read from an offset
that means nothing any more: records would be skipped, and what is new would look like a repetition. So the group's
offset carries the epoch of the source partition and the place and digest of the last record read; whoever takes the
partition over reads that record again and compares. A topic that is deleted takes the group's offsets along: so what an
epoch began with is kept in the compacted topic too. A difference stops the partition until an operator says that a
new epoch begins (`parcours source reset`).
"""

import asyncio
import hashlib

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from agents.kafka import clients

READ_S = 10.0


class Footprint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept with a group's offset: the epoch, and the last record read (offset -1: none yet)."""

    epoch: int = 0
    offset: int = -1
    print: str = ""


def fingerprint(record: ConsumerRecord) -> str:
    """Return a digest of a record's timestamp, key and value."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (str(record.timestamp).encode(), record.key or b"", record.value or b""):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()


def footprint_of(metadata: str) -> Footprint | None:
    """Return what a group's offset carries, None where it carries nothing of ours."""
    try:
        return msgspec.json.decode(metadata, type=Footprint)
    except msgspec.DecodeError:
        return None


async def committed(bootstrap: str, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return a group's offsets with what they carry."""
    admin = clients.admin(bootstrap)
    await admin.start()
    try:
        held: dict[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(group)
        return held
    finally:
        await admin.close()


async def differs(bootstrap: str, place: TopicPartition, offset: int, kept: Footprint | None) -> str | None:
    """Say why a partition is not the one that was read up to `offset` (-1: the group's is gone), None where it is."""
    if kept is None:
        return "the group's offset was set by somebody else"
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        begin = (await reader.beginning_offsets([place]))[place]
        end = (await reader.end_offsets([place]))[place]
        if offset > end:
            return f"it ends at {end}, before the offset {offset} that was read"
        if kept.offset < begin and offset < 0:
            return "the group's offset is gone, and so is the record that it began with"
        if kept.offset < begin:
            return None  # retention has taken the record; what is missing after it the ticks will tell
        return await _compare(reader, place, kept)
    finally:
        await reader.stop()


async def _compare(reader: AIOKafkaConsumer, place: TopicPartition, kept: Footprint) -> str | None:
    reader.assign([place])
    reader.seek(place, kept.offset)
    try:
        record = await asyncio.wait_for(reader.getone(), READ_S)
    except TimeoutError:
        return f"the record {kept.offset} that was read is not there"
    if record.offset != kept.offset:
        return None  # compacted away
    return None if fingerprint(record) == kept.print else f"its record {kept.offset} is not the one that was read"
