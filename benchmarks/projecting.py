"""How fast the projector folds what a run writes: journal, decisions, commands and states into PostgreSQL."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from agents.projector.batch import Record
from agents.projector.database import migrate, open_database
from agents.projector.plans import PlanShelf
from agents.projector.projector import CHANGELOG, Projector
from benchmarks.stages import MAIN_JOB, PLAN, bundles, sources_of
from models.journal import Bundle, JournalMessage, PlanActivated, SourceChanged
from models.progress import Progress
from pipeline.journal.codec import decode, encode
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources
from pipeline.store.rocks import RocksStore
from tests.projector.postgres import running

BATCH = 10_000
_json = msgspec.json.Encoder().encode


class Streams:
    """Numbers the records of every stream of one partition."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def record(self, stream: str, value: bytes | None, key: bytes | None = None) -> Record:
        """Return the next record of a stream."""
        offset = self._next.get(stream, 0)
        self._next[stream] = offset + 1
        return Record(stream, 0, offset, value, key)


def _batches(load: list[bytes], sources: PlanSources, folder: Path) -> Iterator[list[Record]]:
    """Yield what the topics of one partition hold, a batch of BATCH events at a time."""
    store, streams = RocksStore(folder), Streams()
    progress = Progress(journal="bench", partitions=1, partition=0, lineage="bench")
    runtime = PartitionRuntime(progress, store, PlanBook({sources.hash: sources}.get))
    found: list[Record] = []
    for offset, value in enumerate(load):
        runtime.read(JournalMessage(offset=offset, appended_at=2**60, bundle=decode(value)))
        found.append(streams.record("journal", value))
        if runtime.events_in_batch >= BATCH or offset == len(load) - 1:
            runtime.drain()
            batch: Any = runtime.take()
            found += [streams.record("decisions", _json(one)) for one in batch.decisions]
            found += [streams.record("delivery", _json(one)) for one in batch.commands]
            found += [streams.record(CHANGELOG, value, key) for key, value in store.changes(batch)]
            store.apply_at(batch, 0)
            runtime.committed()
            yield found
            found = []
    store.close()


def _fold(engine: Engine, batches: list[list[Record]], sources: PlanSources) -> tuple[float, float]:
    """Return the seconds, and the CPU seconds of this process, that it takes."""
    projector = Projector(engine, PlanShelf(lambda name: sources if name == sources.hash else None))
    began, cpu = time.perf_counter(), time.process_time()
    for records in batches:
        projector.apply(records)
    return time.perf_counter() - began, time.process_time() - cpu


def projecting(events: int, customers: int) -> dict[str, float]:
    """Measure one projector over the load of `benchmarks.load`, the database beside it."""
    sources = sources_of(PLAN, MAIN_JOB)
    first = [SourceChanged(id="join", change="join", source="shop"), PlanActivated(id="p", plan=sources.hash, at=0)]
    load = [encode(Bundle(writer="bench", entries=first)), *bundles(events, customers)]
    folder = Path(tempfile.mkdtemp())
    try:
        batches = list(_batches(load, sources, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with running() as server:
        engine = open_database(server.url)
        migrate(engine)
        took, used = _fold(engine, batches, sources)
        engine.dispose()
    return {"projector, events/s": events / took, "projector, its own CPU us/event": used / events * 1e6}
