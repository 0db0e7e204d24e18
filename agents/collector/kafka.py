"""The collector's way into a cluster: native records on `collected`, facts about addresses on `suppressions`.

A request is answered when the brokers have acknowledged all that it told. There is no transaction: a fact stands under
its own key and an event has its own id, so that what is told again after a failure is the same. A producer that failed
is dropped, and the next request starts another.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka import clients
from agents.kafka.tables import partition_count
from models.ids import partition_of
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.sending import suppressions
from pipeline.sending.hearing import Heard, IntakeError

# A mail program waits some ten seconds for its one click; who told is told of a failure before that.
TAKEN_S = 6.0
log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


class KafkaIntake:
    """Writes what was heard to the two topics, acknowledged."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._topics = topics
        self._partitions = 0
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Connect; UsageError where the topics are not there."""
        self._partitions = await partition_count(self._bootstrap, self._topics.collected)
        if not self._partitions or not await partition_count(self._bootstrap, self._topics.suppressions):
            raise UsageError(
                f"the topics {self._topics.collected} and {self._topics.suppressions} are missing: "
                "run `parcours topics apply` first"
            )
        await self._connected()

    @property
    def ready(self) -> bool:
        """Say whether what is heard can be written, as far as is known."""
        return self._producer is not None

    async def accept(self, heard: Sequence[Heard]) -> None:
        """Take what was heard; IntakeError where a part of it was not acknowledged."""
        producer = None
        try:
            async with asyncio.timeout(TAKEN_S):
                producer = await self._connected()
                sent = [await producer.send(**record) for one in heard for record in self._records(one)]
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._drop(producer)
            raise IntakeError(f"{self._topics.collected} took nothing: {type(error).__name__}") from None

    def _records(self, heard: Heard) -> Iterator[dict[str, Any]]:
        """Yield what to write: the facts first, which act at once."""
        facts = {"topic": self._topics.suppressions, "partition": 0}
        for row in heard.suppress:
            yield facts | {"key": row.key.encode(), "value": suppressions.encode(row)}
        for key in heard.lift:
            yield facts | {"key": key.encode(), "value": None}
        if heard.event is not None:
            customer = heard.event["customer"]
            yield {
                "topic": self._topics.collected,
                "partition": partition_of(customer, self._partitions),
                "key": customer.encode(),
                "value": _encode(heard.event),
            }

    async def _connected(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                fresh = clients.producer(self._bootstrap, linger_ms=0)
                try:
                    await fresh.start()
                except BaseException:
                    await clients.drop(fresh)
                    raise
                self._producer = fresh
            return self._producer

    async def _drop(self, broken: AIOKafkaProducer | None) -> None:
        """Let a producer go that failed: a younger batch must not stand where an older one was lost."""
        if broken is None or self._producer is not broken:
            return
        self._producer = None
        log.warning("the collector connects again")
        await clients.drop(broken)

    async def stop(self) -> None:
        """Let go."""
        if self._producer is not None:
            await clients.drop(self._producer)
