"""The inbox of a cluster's collector: the topic `inbox` as a table, and what became of messages written back."""

import asyncio
import time

import msgspec
import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.following import follow
from agents.kafka.inbox import InboxWriter
from agents.kafka.tables import partition_count
from models.inbox import InboxItem
from models.inbox_rows import ForgottenRow, MessageRow, StateRow, decode_row
from models.topics import Topics
from pipeline.sending.hearing import IntakeError
from pipeline.sending.inbox_table import InboxTable

TAKEN_S = 6.0
log = structlog.get_logger()


def wall_ms() -> int:
    """Return the clock's time (UTC ms)."""
    return time.time_ns() // 1_000_000


class TopicInbox(InboxTable):
    """A `pipeline.sending.inbox.InboxStore` over the topic; several collectors hold the same table."""

    def __init__(self, bootstrap: str, topics: Topics, most: int):
        super().__init__(most, wall_ms)
        self._bootstrap = bootstrap
        self._topic = topics.inbox
        self._writer = InboxWriter(bootstrap, topics)
        self._deleting: asyncio.Task[None] | None = None

    async def start(self) -> asyncio.Task[None]:
        """Connect and read what stands there; return what follows the topic. UsageError where it is not there."""
        await self._writer.start()
        places = [TopicPartition(self._topic, n) for n in range(await partition_count(self._bootstrap, self._topic))]
        known = asyncio.Event()
        task = asyncio.create_task(follow(self._bootstrap, places, self._read, known), name="inbox")
        waited = asyncio.create_task(known.wait())
        await asyncio.wait({waited, task}, return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()
        if task.done():
            task.result()
        return task

    def _read(self, record: ConsumerRecord) -> None:
        if record.value is None:
            return
        try:
            row = decode_row(record.value)
        except msgspec.DecodeError:
            log.warning("a row of the inbox is left out", partition=record.partition, offset=record.offset)
            return
        before = self.names(row.customer) if isinstance(row, ForgottenRow) else set()
        self.take(row, record.offset + 1)
        if isinstance(row, ForgottenRow) and (gone := before - self.names(row.customer)):
            self._deleting = asyncio.create_task(self._delete(row.customer, gone))

    async def _delete(self, customer: str, names: set[str]) -> None:
        """Take what is forgotten out of the topic too; what is not reached goes with its retention."""
        try:
            for name in sorted(names):
                await self._writer.delete(customer, name)
        except (KafkaError, OSError) as error:
            log.warning("messages of a forgotten customer stay until retention", cause=type(error).__name__)

    async def keep(self, item: InboxItem) -> bool:
        """Keep a message."""
        return await self._writer.keep(item)

    async def note(self, customer: str, name: str, state: str) -> InboxItem | None:
        """Move a message to a later state; IntakeError where that was not acknowledged."""
        found = next((one for one in self.of(customer) if one.id == name), None)
        moved = found.moved(state) if found is not None else None
        if moved is None:
            return None
        row = StateRow(id=name, customer=customer, state=state, until=moved.until)
        try:
            async with asyncio.timeout(TAKEN_S):
                await self._writer.write(customer, row)
                if state == "dismissed":
                    await self._writer.write(customer, MessageRow(item=moved))
        except (KafkaError, TimeoutError, OSError) as error:
            raise IntakeError(f"{self._topic} took nothing: {type(error).__name__}") from None
        # Read again from the topic a moment later, it changes nothing more.
        self.take(row, moved.number)
        return moved

    async def stop(self) -> None:
        """Let go."""
        await self._writer.stop()
