"""The projector of a cluster: a group shares out the journal's partitions, and with them those of every other stream.

The group's consumer fetches nothing: who has a partition reads all streams of that number, from the positions that
stand in the database. They move in the transaction that writes the rows, each from where it stood, so a partition that
two processes read for a moment counts once: the later batch is rolled back, and its process looks again.
Anything but a clean commit: the memory is discarded, and all partitions are opened again from the database's positions.
A database that is away is asked again every second; nothing else of the cluster waits for it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from agents import metrics
from agents.kafka import clients
from agents.projector import schema
from agents.projector.batch import Record
from agents.projector.database import cause_of, empty, migrate
from agents.projector.projector import Projector
from agents.projector.retention import Retention, prune_all
from agents.projector.topics import STREAMS, TopicPlans, TopicReader
from agents.projector.writing import SET, Writer
from models.topics import Topics
from pipeline.errors import RunError

AGAIN_S = 1.0
POLL_S = 0.2
STANDING_EVERY_S = 2.0
PRUNE_EVERY_S = 10.0
STANDING = "projector"
SESSION_MS = 10_000
NEVER_MS = 2**31 - 1
# Away or in trouble for now: asked again. Whatever else goes wrong ends the process.
PASSING = (SQLAlchemyError, RunError, KafkaError, OSError)
log = structlog.get_logger()


@dataclass(frozen=True)
class ProjectorOptions:
    """One projector process; `instance` names it for the group, so that a restart comes back as the same member.

    Processes of one group share one database; a second database is followed by a group of its own.
    """

    bootstrap: str
    engine: Engine
    topics: Topics = field(default_factory=Topics)
    instance: str | None = None
    group: str = "projector"
    retention: Retention = field(default_factory=Retention)
    rebuild: bool = False


class ProjectorWorker:
    """Follows the partitions that the group gives it into the database."""

    def __init__(self, options: ProjectorOptions):
        self.options = options
        self._plans = TopicPlans(options.bootstrap, options.topics)
        self.projector = Projector(options.engine, self._plans.shelf())
        self._reader = TopicReader(options.bootstrap, options.topics)
        self._owned: set[int] = set()
        self._opened: set[int] | None = None
        self._writing = asyncio.Lock()
        self._told_at = 0.0

    @property
    def ready(self) -> bool:
        """Say whether what the group gave is being followed."""
        return self._opened is not None and self._opened == self._owned

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the log until `stop` is set."""
        await self._prepare(stop)
        members: AIOKafkaConsumer = clients.consumer(
            self.options.bootstrap,
            group=f"{self.options.topics.prefix}{self.options.group}",
            group_instance_id=self.options.instance,
            session_timeout_ms=SESSION_MS,
            max_poll_interval_ms=NEVER_MS,
            auto_offset_reset="latest",  # it fetches nothing: where it would begin does not matter
        )
        await members.start()
        members.subscribe([self.options.topics.journal], listener=_Listener(self, members))
        pruning = asyncio.create_task(self._prune())
        try:
            while not stop.is_set():
                await self._once()
        finally:
            pruning.cancel()
            await asyncio.gather(pruning, return_exceptions=True)
            await self._reader.close()
            await members.stop()

    async def _prepare(self, stop: asyncio.Event) -> None:
        """Wait for the database, and bring its tables to this release."""
        while not stop.is_set():
            try:
                await asyncio.to_thread(migrate, self.options.engine)
                if self.options.rebuild:
                    await asyncio.to_thread(empty, self.options.engine)
                return
            except PASSING as error:
                await self._wait_after(error)

    async def _wait_after(self, error: BaseException) -> None:
        metrics.REOPENED.labels(type(error).__name__).inc()
        log.warning("the read model waits", cause=f"{type(error).__name__}: {cause_of(error)}")
        await asyncio.sleep(AGAIN_S)

    async def _once(self) -> None:
        """Fold one batch in, after opening what the group gave where that is new."""
        try:
            if self._opened != self._owned:
                await self._open()
            if not self._opened:
                await asyncio.sleep(POLL_S)
                return
            async with self._writing:
                records = await self._reader.fetch()
                if records and self._opened == self._owned:
                    await self._apply(records)
            await self._tell()
        except PASSING as error:
            self._close()
            await self._wait_after(error)

    async def _apply(self, records: list[Record]) -> None:
        await asyncio.to_thread(self.projector.apply, records)
        for stream in STREAMS:
            metrics.PROJECTED.labels(stream).inc(sum(one.stream == stream for one in records))

    async def _open(self) -> None:
        owned = set(self._owned)
        self._close()
        await asyncio.to_thread(self._plans.read)
        known = await asyncio.to_thread(self.projector.positions)
        for lost in await self._reader.open(owned, known):
            log.warning("the log no longer holds what the read model lacks", place=lost)
        self._opened = owned
        metrics.OPEN.labels("projector").set(len(owned))

    def _close(self) -> None:
        """Forget what memory holds; the next round opens everything again."""
        self.projector.forget()
        self._opened = None
        metrics.OPEN.labels("projector").set(0)

    async def _tell(self) -> None:
        """Publish how far behind the read model is: for Prometheus, and in the database for the page of health."""
        if time.monotonic() < self._told_at + STANDING_EVERY_S:
            return
        self._told_at = time.monotonic()
        found = await self._reader.ends()
        for stream in STREAMS:
            lag = sum(behind for (name, _), (_, behind) in found.items() if name == stream)
            metrics.PROJECTOR_LAG.labels(stream).set(lag)
        owned = sorted(self._opened or ())
        if owned:
            ends = [(stream, partition, end) for (stream, partition), (end, _) in found.items()]
            said = json.dumps({"at": time.time_ns() // 1_000_000, "partitions": owned, "ends": ends})
            await asyncio.to_thread(self._stand, f"{STANDING}/{owned[0]}", said.encode())

    def _stand(self, name: str, said: bytes) -> None:
        with self.options.engine.begin() as connection:
            Writer(connection).upsert(schema.meta, [(name, said)], SET)

    async def _prune(self) -> None:
        """Delete what is older than its retention: one process does, whichever has the first partition."""
        engine, retention = self.options.engine, self.options.retention
        while True:
            await asyncio.sleep(PRUNE_EVERY_S)
            if 0 not in (self._opened or ()):
                continue
            try:
                await asyncio.to_thread(prune_all, engine, retention)
            except SQLAlchemyError as error:
                log.warning("the read model cannot be pruned", cause=f"{type(error).__name__}: {cause_of(error)}")

    async def revoked(self) -> None:
        """Finish the batch under way, so that who takes over finds the positions where it left them."""
        async with self._writing:
            self._owned = set()

    def assigned(self, partitions: Iterable[int]) -> None:
        """Take what the group gives."""
        self._owned = set(partitions)
        metrics.ASSIGNED.labels("projector").set(len(self._owned))
        log.info("projector assigned", partitions=sorted(self._owned))


class _Listener(ConsumerRebalanceListener):
    def __init__(self, worker: ProjectorWorker, members: AIOKafkaConsumer):
        self._worker = worker
        self._members = members

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let the batch under way come to its end."""
        await self._worker.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Take the new set, and fetch none of it by the group's own consumer."""
        if assigned:
            self._members.pause(*assigned)
        self._worker.assigned(place.partition for place in assigned)


async def run(
    options: ProjectorOptions, stop: asyncio.Event, announce: Callable[[Callable[[], bool]], None] = lambda _: None
) -> None:
    """Follow the log into the database until stopped; `announce` gets the readiness test."""
    worker = ProjectorWorker(options)
    announce(lambda: worker.ready)
    await worker.run(stop)
