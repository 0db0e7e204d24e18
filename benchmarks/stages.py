"""The stages alone, on one core, without a broker: CPU a event of ingest and of journeys."""

import gc
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.load import records
from models.journal import Bundle, Entry, JournalMessage, PlanActivated, SourceChanged, Tick
from models.progress import Progress
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord
from pipeline.journal.bundler import Bundler
from pipeline.journal.codec import decode, encode
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.store.rocks import RocksStore

START_MS = 1_767_600_000_000
BATCH = 5_000
PARTITIONS = 8
PLAN = Path(__file__).parents[1] / "scenarios"
MAIN_JOB = ("abandoned-cart", "purchase", "welcome")
OPEN = {"consent_default": "granted", "require_address": "false"}


def source_records(count: int, customers: int) -> list[SourceRecord]:
    """Return the load as records of one source."""
    load = records(count, customers, 1, START_MS, 5_000)
    return [
        SourceRecord(source="shop", offset=offset, timestamp_ms=START_MS + offset // 5, value=record.value)
        for offset, record in enumerate(load)
    ]


def ingest_us(count: int, customers: int) -> float:
    """Return CPU microseconds an event: map, validate, bundle, encode."""
    load = source_records(count, customers)
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    bundler = Bundler("bench", PARTITIONS)
    began = time.process_time()
    for record in load:
        for one in mapper.feed(record):
            bundler.add(one, one.customer, 0)
        if bundler.full():
            _write(bundler)
    _write(bundler)
    return (time.process_time() - began) / count * 1e6


def _write(bundler: Bundler) -> int:
    size = 0
    for partition in range(PARTITIONS):
        while (bundle := bundler.take(partition)) is not None:
            size += len(encode(bundle))
    return size


def bundles(count: int, customers: int) -> list[bytes]:
    """Return the load as journal messages of one partition."""
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    entries: list[Entry] = []
    found = []
    for record in source_records(count, customers):
        entries += mapper.feed(record)
        if len(entries) >= 500:
            at = START_MS + record.offset // 5
            tick = Tick(source="shop", first=0, next=record.offset + 1, before=at - 10_000, upto=at)
            found.append(encode(Bundle(writer="bench", entries=[*entries, tick])))
            entries = []
    return found


def journeys_us(count: int, customers: int, sources: PlanSources | None = None) -> tuple[float, float]:
    """Return CPU microseconds an event (read, step, encode, RocksDB), and bytes a customer on disk."""
    sources = sources or sources_of(PLAN, MAIN_JOB)
    folder = Path(tempfile.mkdtemp())
    try:
        store = RocksStore(folder)
        plans = PlanBook({sources.hash: sources}.get)
        progress = Progress(journal="bench", partitions=1, partition=0, lineage="bench")
        runtime = PartitionRuntime(progress, store, plans)
        first = [SourceChanged(id="join", change="join", source="shop"), PlanActivated(id="p", plan=sources.hash, at=0)]
        load = [encode(Bundle(writer="bench", entries=first)), *bundles(count, customers)]
        # As the worker does: states come and go by the thousand, and hold no circles.
        gc.set_threshold(50_000, 20, 100)
        # A plan is compiled once, when it is activated: that is no cost of an event.
        runtime.read(JournalMessage(offset=0, appended_at=2**60, bundle=decode(load[0])))
        began = time.process_time()
        for offset, value in enumerate(load[1:], 1):
            runtime.read(JournalMessage(offset=offset, appended_at=2**60, bundle=decode(value)))
            if runtime.events_in_batch >= BATCH:
                _commit(runtime, store)
        while runtime.drain():
            _commit(runtime, store)
        _commit(runtime, store)
        used = (time.process_time() - began) / count * 1e6
        store.close()
        size = sum(path.stat().st_size for path in folder.rglob("*.sst"))
        return used, size / customers
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sources_of(folder: Path, names: tuple[str, ...] = ()) -> PlanSources:
    """Return the sources of a folder's plan, open to everybody; with names, of these scenarios alone."""
    files = read_sources(folder, OPEN).files
    others = [path.split("/")[0] for path in files if path.endswith("/scenario.yaml")]
    left_out = [name for name in others if names and name not in names]
    return PlanSources({path: text for path, text in files.items() if path.split("/")[0] not in left_out})


def _commit(runtime: PartitionRuntime, store: RocksStore) -> None:
    runtime.drain()
    batch = runtime.take()
    store.changes(batch)
    store.apply_at(batch, 0)
    runtime.committed()
