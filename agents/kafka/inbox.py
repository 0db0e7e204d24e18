"""The compacted topic `inbox`: senders write messages, collectors what became of them, journeys who was forgotten."""

from typing import Any

from aiokafka import AIOKafkaProducer

from agents.kafka import clients
from agents.kafka.tables import partition_count
from models.ids import partition_of
from models.inbox import InboxItem
from models.inbox_rows import InboxRow, MessageRow, encode_row, key_of, message_key, state_key
from models.topics import Topics
from pipeline.errors import UsageError


def record_of(topics: Topics, partitions: int, customer: str, row: InboxRow) -> dict[str, Any]:
    """Return what a producer sends of a row: it lies where its customer does."""
    place = partition_of(customer, partitions)
    return {"topic": topics.inbox, "partition": place, "key": key_of(row), "value": encode_row(row)}


class InboxWriter:
    """Writes messages of the channel `web`, acknowledged: the same command is the same key."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._topics = topics
        self._partitions = 0
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; UsageError where the topic is not there."""
        self._partitions = await partition_count(self._bootstrap, self._topics.inbox)
        if not self._partitions:
            raise UsageError(f"the topic {self._topics.inbox} does not exist: run `parcours topics apply` first")
        fresh = clients.producer(self._bootstrap, linger_ms=2)
        await fresh.start()
        self._producer = fresh

    async def keep(self, item: InboxItem) -> bool:
        """Keep a message; a KafkaError where it was not acknowledged."""
        assert self._producer is not None
        await self.write(item.customer, MessageRow(item=item))
        return True

    async def write(self, customer: str, row: InboxRow) -> None:
        """Write one row, acknowledged."""
        assert self._producer is not None
        acknowledged = await self._producer.send(**record_of(self._topics, self._partitions, customer, row))
        await acknowledged

    async def delete(self, customer: str, name: str) -> None:
        """Take a message and its state out of the topic, acknowledged."""
        assert self._producer is not None
        place = partition_of(customer, self._partitions)
        for key in (message_key(name), state_key(name)):
            await self._producer.send_and_wait(self._topics.inbox, None, key=key, partition=place)

    async def stop(self) -> None:
        """Let go."""
        if self._producer is not None:
            await clients.drop(self._producer)
