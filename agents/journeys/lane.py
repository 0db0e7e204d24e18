"""One journal partition's lane: opens its runtime, feeds it, and commits in transactions.

Open: 1. fence (InitProducerId of the partition's own id ends any earlier owner and its open transaction); 2. restore
from the changelog; 3. take the progress record; 4. read on from there.
Commit: 1. begin; 2. (the steps were done in memory); 3. send states, commands, cancels, decisions, forwards, dead
letters, the mark, and last the progress record; 4. await every send, then commit; 5. apply the batch to the local
store; 6. the group's offset, as information.
Anything but a clean commit: the producer is dropped, the memory discarded, and the partition opened again.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError, ProducerFenced

from agents import metrics
from agents.journeys.measuring import Measures
from agents.journeys.restore import restore
from agents.journeys.transacting import send
from agents.kafka import clients
from agents.kafka.tables import partition_count
from agents.pausing import pause_at
from models.ids import digest
from models.inbox_rows import ForgottenRow
from models.journal import JournalMessage
from models.progress import Progress
from models.topics import Topics
from pipeline.journal.codec import decode
from pipeline.runtime.batch import Batch
from pipeline.runtime.checkpoints import DailyCheckpoints, kept_of
from pipeline.runtime.erasing import hashes
from pipeline.runtime.partition import ContinuityError, PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.sending.links import Links
from pipeline.sending.suppressions import Suppression
from pipeline.store.rocks import RocksStore

COMMIT_EVENTS = 5_000
COMMIT_S = 0.05
REOPEN_S = 1.0
FAILING_S = 60.0
# A lane that is told to stop may end the commit it is in: cut off there, it would leave the transaction open.
SETTLE_S = 3.0
# A switch for tests alone: how long to stop, once, between the sends and the commit: a kill hits an open transaction.
PAUSE_ENV = "PARCOURS_TEST_PAUSE_IN_TRANSACTION_S"
log = structlog.get_logger()


@dataclass(frozen=True)
class Place:
    """What a lane needs to know of its surroundings."""

    bootstrap: str
    topics: Topics
    data: Path
    partitions: int
    plans: PlanBook
    seek: Callable[[int, int], None]  # (partition, offset): where the pump goes on
    owned: Callable[[int], bool]
    refresh: Callable[[], Awaitable[None]]
    links: Links | None  # with the secret that hashes addresses; None without one
    note: Callable[[int, int], None]  # (partition, next offset): the group's offset, as information


class Lane:
    """The life of one partition in this worker; a slow restore holds up no other lane."""

    def __init__(self, partition: int, place: Place):
        self.partition = partition
        self.place = place
        self.queue: asyncio.Queue[list[ConsumerRecord]] = asyncio.Queue()
        self.runtime: PartitionRuntime | None = None
        self.store: RocksStore | None = None
        self.producer: AIOKafkaProducer | None = None
        self.task: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self._committing = asyncio.Lock()
        self._measures = Measures(partition)
        self._checkpoints: DailyCheckpoints | None = None

    def start(self) -> None:
        """Open the partition in a task of its own."""
        self._measures.assigned()
        self.task = asyncio.create_task(self._live(), name=f"lane {self.partition}")

    async def stop(self) -> None:
        """End the lane: a commit on its way may come to its end, nothing uncommitted is kept."""
        if self.task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._committing.acquire(), SETTLE_S)
            await clients.ended(self.task)
        await self._discard()
        if self.store is not None:
            self.store.close()
            self.store = None
        self._measures.gone()

    async def _live(self) -> None:
        while True:
            try:
                await self._open()
                self._failing_since = None
                await self._work()
            except ProducerFenced:
                metrics.REOPENED.labels("fenced").inc()
                log.info("fenced", partition=self.partition)
            except ContinuityError as error:
                metrics.REOPENED.labels("gap").inc()
                log.warning("journal skipped", partition=self.partition, cause=str(error))
            except (KafkaError, OSError) as error:
                metrics.REOPENED.labels(type(error).__name__).inc()
                log.warning("partition opens again", partition=self.partition, cause=repr(error)[:200])
            except Exception as error:
                metrics.REOPENED.labels(type(error).__name__).inc()
                log.exception("partition stopped", partition=self.partition)
            await self._discard()
            self._give_up_after_a_while()
            await asyncio.sleep(REOPEN_S)
            if not self.place.owned(self.partition):
                return

    def _give_up_after_a_while(self) -> None:
        """A worker that cannot do its work for a minute ends, so that its supervisor starts a fresh one."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > FAILING_S:
            log.error("giving up", partition=self.partition)
            os._exit(70)

    async def _discard(self) -> None:
        producer, self.producer, self.runtime = self.producer, None, None
        self._measures.closed()
        if producer is not None:
            await clients.drop(producer)

    async def _open(self) -> None:
        """Fence, restore, take the progress, and ask the pump to go on from there."""
        began = time.monotonic()
        name = f"{self.place.topics.prefix}journeys-{self.partition}"
        self.producer = clients.producer(self.place.bootstrap, transactional_id=name)
        await self.producer.start()
        if self.store is None:
            store = self.store = RocksStore(self.place.data / f"partition-{self.partition}")
            kept = kept_of(self.place.data, self.partition)
            self._checkpoints = DailyCheckpoints(kept, lambda: store.handle, first_at_once=True)
        place, now_ms = self.place, time.time_ns() // 1_000_000
        progress = await restore(place.bootstrap, place.topics, self.partition, self.store, now_ms)
        if progress is None:
            lineage = digest("lineage", name, str(time.time_ns()))
            progress = Progress(
                journal=self.place.topics.journal,
                partitions=self.place.partitions,
                partition=self.partition,
                lineage=lineage,
            )
        elif progress.partitions != self.place.partitions:
            raise OSError(f"the changelog is of {progress.partitions} partitions, the journal has another count")
        assert self._checkpoints is not None
        self._checkpoints.begin(progress)
        await self.place.refresh()
        self.runtime = PartitionRuntime(progress, self.store, self.place.plans)
        self._measures.opened(time.monotonic() - began)
        # The pump went on while the lane was away: what it has put here since lies behind where the lane goes on.
        while not self.queue.empty():
            self.queue.get_nowait()
        self.place.seek(self.partition, progress.next_offset)
        # What an earlier owner committed, the group may not have heard from it.
        self.place.note(self.partition, progress.next_offset)

    async def _work(self) -> None:
        while True:
            records = await self._next()
            runtime = self.runtime
            assert runtime is not None
            self._measures.reads()
            for record in records:
                runtime.read(
                    JournalMessage(offset=record.offset, appended_at=record.timestamp, bundle=decode(record.value))
                )
                if runtime.events_in_batch >= COMMIT_EVENTS:
                    await self._commit(runtime)
            more = runtime.drain()
            while more:
                await self._commit(runtime)
                more = runtime.drain()
            if runtime.changed:
                await self._commit(runtime)

    async def _next(self) -> list[ConsumerRecord]:
        """Return what has come, gathered for a short while so that a commit carries more than one message."""
        records = await self.queue.get()
        # Not `wait_for`: it loses a cancellation that comes as a record does, and the lane never ended.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COMMIT_S):
                while len(records) < COMMIT_EVENTS // 100:
                    records = records + await self.queue.get()
        return records

    async def _commit(self, runtime: PartitionRuntime) -> None:
        """Commit what is in memory; the numbers are those of the module's head."""
        producer, store = self.producer, self.store
        assert producer is not None and store is not None
        async with self._committing:
            batch = await self._transact(runtime, producer, store)
        self.place.note(self.partition, runtime.progress.next_offset)  # 6
        self._keep(runtime.progress)
        self._measures.committed(batch, runtime)

    def _keep(self, progress: Progress) -> None:
        """Take the day's checkpoint; without it only a replay has further to go."""
        assert self._checkpoints is not None
        try:
            self._checkpoints.after(progress)
        except Exception as error:  # noqa: BLE001 - rocksdict raises bare Exceptions
            log.warning("no checkpoint", partition=self.partition, cause=repr(error)[:200])

    async def _transact(self, runtime: PartitionRuntime, producer: AIOKafkaProducer, store: RocksStore) -> Batch:
        batch = runtime.take()
        with metrics.COMMITS.time():
            await producer.begin_transaction()  # 1
            pause_at("begun", self.partition)
            suppressed = await self._suppressed(batch)
            forgotten = await self._forgotten(batch)
            sent = await send(producer, self.place.topics, self.partition, store, batch, suppressed, forgotten)  # 3
            pause_at("sent", self.partition)
            offset = await sent.offset()  # 4
            pause_at("flushed", self.partition)
            if PAUSE_ENV in os.environ:
                await self._pause()
            await producer.commit_transaction()
            pause_at("committed", self.partition)
            store.apply_at(batch, offset)  # 5
            pause_at("stored", self.partition)
            runtime.committed()
        return batch

    async def _suppressed(self, batch: Batch) -> list[Suppression]:
        """Return the hashes of the addresses of who was forgotten; an erasure waits for no secret and no topic."""
        if not any(gone.addresses for gone in batch.erased):
            return []
        topic = self.place.topics.suppressions
        if self.place.links is None or not await partition_count(self.place.bootstrap, topic):
            metrics.UNSUPPRESSED.inc(len(batch.erased))
            log.warning(
                "forgotten without a hash of the address: a later import may write to them again",
                partition=self.partition,
                help=f"set PARCOURS_SECRET for the journeys worker, and make the topic {topic}",
            )
            return []
        return [row for gone in batch.erased for row in hashes(gone, self.place.links)]

    async def _forgotten(self, batch: Batch) -> list[ForgottenRow]:
        """Return what empties the inboxes of who was forgotten; an older deployment has no topic for them."""
        if not batch.erased or not await partition_count(self.place.bootstrap, self.place.topics.inbox):
            return []
        return [ForgottenRow(customer=gone.customer, at=gone.at) for gone in batch.erased]

    async def _pause(self) -> None:
        path = self.place.data / f"in-transaction-{self.partition}"
        path.touch()
        # Blocking, as a frozen process is: it goes on to its commit before it hears that it lost the partition.
        time.sleep(float(os.environ.pop(PAUSE_ENV)))  # noqa: ASYNC251
        path.unlink(missing_ok=True)
