"""Writes bundles to the journal: at most one unacknowledged message a partition, never past one that failed."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from agents.ingest.dead_letters import message_of
from agents.kafka import clients
from models.dead_letter import DeadLetter
from models.journal import Entry
from models.topics import Topics
from pipeline.journal.bundler import Bundler
from pipeline.journal.codec import encode


class JournalWriter:
    """One writer. After an error it is not used again: the ingest starts anew from its committed offsets."""

    def __init__(self, bootstrap: str, topics: Topics, partitions: int, name: str):
        self.topics = topics
        self.partitions = partitions
        self.bundler = Bundler(name, partitions)
        self.producer: AIOKafkaProducer = clients.producer(bootstrap, linger_ms=0)
        self.appended_at = 0  # the broker's append time of the last acknowledged message (UTC ms)

    async def start(self) -> None:
        """Connect."""
        await self.producer.start()

    def add_to_all(self, entry: Entry) -> None:
        """Add an entry to every partition."""
        for partition in range(self.partitions):
            self.bundler.put(entry, partition, 0)

    async def flush(self) -> None:
        """Write all that was added and await every acknowledgement."""
        await asyncio.gather(*[self._flush(partition) for partition in range(self.partitions)])

    async def _flush(self, partition: int) -> None:
        while True:
            bundle = self.bundler.take(partition)
            if bundle is None:
                return
            done = await self.producer.send_and_wait(self.topics.journal, encode(bundle), partition=partition)
            self.appended_at = max(self.appended_at, done.timestamp)

    async def bury(self, letters: Iterable[DeadLetter]) -> None:
        """Write dead letters and await each: a flush would say nothing of one that the broker did not take."""
        sends = [await self.producer.send(self.topics.dead_letters, **message_of(letter)) for letter in letters]
        await asyncio.gather(*sends)

    async def stop(self) -> None:
        """Let go."""
        await clients.drop(self.producer)
