"""The epochs that operators began (`parcours source reset`), followed while an ingest runs."""

from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka.control import epoch_key
from agents.kafka.following import follow
from models.topics import Topics


class Epochs:
    """What the compacted topic says of each source partition's epoch by now."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._place = TopicPartition(topics.plans, 0)
        self._said: dict[bytes, int] = {}

    def of(self, source: str, partition: int) -> int:
        """Return a source partition's epoch, 0 where nobody began one."""
        return self._said.get(epoch_key(source, partition), 0)

    async def run(self) -> None:
        """Follow until cancelled."""
        await follow(self._bootstrap, [self._place], self._take)

    def _take(self, record: ConsumerRecord) -> None:
        if record.key is not None and record.key.startswith(b"epoch ") and record.value is not None:
            self._said[record.key] = int(record.value)
