"""Brings a partition's local store up to its changelog."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.kafka import clients
from agents.kafka.tables import read_to_end
from agents.kafka.topics import DELETE_RETENTION_MS
from models.progress import Progress
from models.topics import Topics
from pipeline.store.codec import HOT, PROGRESS, decode_progress
from pipeline.store.rocks import RocksStore

CHUNK = 5_000
# Deletions are compacted away some time after `delete.retention.ms`: half of it leaves room for clocks and cleaners.
STORE_AGE_MS_MAX = DELETE_RETENTION_MS // 2


async def restore(bootstrap: str, topics: Topics, partition: int, store: RocksStore, now_ms: int) -> Progress | None:
    """Read the changelog from where the store stands to its end, and return the last progress record.

    A store of another lineage, one that says more than the changelog holds, and one whose last message is older at
    `now_ms` (UTC) than deletions are sure to be readable, is emptied and built anew: it would revive the deleted.
    """
    place = TopicPartition(topics.changelog, partition)
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        begin = (await reader.beginning_offsets([place]))[place]
        end = (await reader.end_offsets([place]))[place]
        known = store.applied_offset()
        if known is not None and (not begin <= known < end or _is_old(store, now_ms)):
            store.empty()
            known = None
        kept = store.progress()  # before the changelog's own is read over it
        found = await _read(reader, place, store, begin if known is None else known)
        if found is not None and kept is not None and known is not None and found.lineage != kept.lineage:
            store.empty()
            found = await _read(reader, place, store, begin)
        return store.progress() if found is None else found
    finally:
        await reader.stop()


def _is_old(store: RocksStore, now_ms: int) -> bool:
    kept = store.progress()
    return kept is None or now_ms - kept.journal_at > STORE_AGE_MS_MAX


async def _read(reader: AIOKafkaConsumer, place: TopicPartition, store: RocksStore, start: int) -> Progress | None:
    chunk: list[tuple[bytes, bytes | None]] = []
    touched: set[str] = set()
    last: tuple[int, bytes] | None = None
    async for record in read_to_end(reader, {place: start}):
        chunk.append((record.key, record.value))
        if record.key[:1] == HOT:
            touched.add(record.key[1:].decode())
        elif record.key == PROGRESS and record.value is not None:
            last = (record.offset, record.value)
        if len(chunk) >= CHUNK:
            store.load(chunk)
            chunk = []
    store.load(chunk)
    store.reindex(sorted(touched))
    if last is None:
        return None
    store.set_applied(last[0])
    return decode_progress(last[1])
