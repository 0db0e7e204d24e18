"""The suppressed addresses from the compacted topic `suppressions`, followed by each sender process."""

import asyncio

import msgspec
import structlog
from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka.following import follow
from agents.kafka.tables import partition_count
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.sending.links import Links
from pipeline.sending.suppressions import SuppressionTable

log = structlog.get_logger()


class TopicSuppressions(SuppressionTable):
    """The table of a cluster: its topic from the first record on. A record that is none of ours is left out."""

    def __init__(self, bootstrap: str, topics: Topics, links: Links):
        super().__init__(links)
        self._bootstrap = bootstrap
        self._topic = topics.suppressions

    async def follow(self, known: asyncio.Event) -> None:
        """Follow until cancelled; `known` is set when all that stood there was read."""
        if not await partition_count(self._bootstrap, self._topic):
            raise UsageError(f"the topic {self._topic} does not exist: run `parcours topics apply` first")
        await follow(self._bootstrap, [TopicPartition(self._topic, 0)], self._take, known)

    def _take(self, record: ConsumerRecord) -> None:
        try:
            self.load(record.key or b"", record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("a row of the suppressions is left out", offset=record.offset)
