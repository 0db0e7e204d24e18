"""Reads the topics that the read model is made of, from where the read model stands."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents.ingest.dead_letters import stored_letter
from agents.kafka import clients
from agents.kafka.control import LIVE, read_plans
from agents.kafka.tables import partition_count
from agents.projector.batch import Record
from agents.projector.plans import PlanShelf
from agents.projector.projector import CHANGELOG, Place
from models.topics import Topics
from pipeline.errors import RunError, UsageError
from pipeline.scenario.sources import PlanSources

JOURNAL, LETTERS = "journal", "dead-letters"
STREAMS = (JOURNAL, "decisions", "delivery", "receipts", LETTERS, CHANGELOG)
# A journal message holds up to 500 events; what a batch takes of it bounds the batch's memory and time.
JOURNAL_AT_ONCE, OTHERS_AT_ONCE = 150, 20_000
WAIT_MS = 250
HASH_LENGTH = 32


class TopicPlans:
    """The plans that the compacted topic holds, read in the thread that asks: again only for one that is not known."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._topics = topics
        self._known: dict[str, PlanSources] = {}
        self._live = ""

    def shelf(self) -> PlanShelf:
        """Return the shelf that compiles them."""
        return PlanShelf(self.sources, lambda: self._live)

    def read(self) -> None:
        """Read them as they are now."""
        found = asyncio.run(read_plans(self._bootstrap, self._topics))
        self._live = found.get(LIVE, b"").decode()
        for key, value in found.items():
            if len(key) == HASH_LENGTH:
                self._known.setdefault(key.decode(), PlanSources.decode(value))

    def sources(self, plan: str) -> PlanSources | None:
        """Return a plan's sources: they are stored before it is activated, so an unknown one is worth reading for."""
        if plan not in self._known:
            self.read()
        return self._known.get(plan)


class TopicReader:
    """One consumer over the streams of some journal partitions; all streams place a customer by the same number."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._topics = topics
        self._reader: AIOKafkaConsumer | None = None
        self._streams = {topics.name(stream): stream for stream in STREAMS}
        self._journal: list[TopicPartition] = []
        self._others: list[TopicPartition] = []

    async def open(self, owned: Iterable[int], known: dict[Place, int]) -> list[str]:
        """Read on from the known positions; return what the topics no longer hold of it, said for people."""
        await self.close()
        numbers = sorted(owned)
        places = []
        for topic, stream in self._streams.items():
            count = await partition_count(self._bootstrap, topic)
            if not count:
                raise UsageError(f"the topic {topic} does not exist: run `parcours topics apply` first")
            here = [TopicPartition(topic, number) for number in numbers if number < count]
            (self._journal if stream == JOURNAL else self._others).extend(here)
            places += here
        reader = self._reader = clients.consumer(self._bootstrap)
        await reader.start()
        reader.assign(places)
        begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
        lost = []
        for place in places:
            start = known.get((self._streams[place.topic], place.partition), 0)
            if start > ends[place]:
                raise RunError(
                    f"{place.topic}-{place.partition} ends at {ends[place]}, the read model is at {start}: the topic "
                    "was made anew; start the projector once with --rebuild"
                )
            if 0 < start < begins[place] and place.topic != self._topics.changelog:
                lost.append(f"{place.topic}-{place.partition} begins at {begins[place]}, the read model is at {start}")
            reader.seek(place, max(start, begins[place]))
        return lost

    async def fetch(self) -> list[Record]:
        """Return the next records of every stream, after a short wait where there are none."""
        assert self._reader is not None
        found: list[Record] = []
        for places, limit in ((self._journal, JOURNAL_AT_ONCE), (self._others, OTHERS_AT_ONCE)):
            fetched = await self._reader.getmany(*places, timeout_ms=0, max_records=limit)
            found += [self._record(one) for records in fetched.values() for one in records]
        if not found:
            places = [*self._journal, *self._others]
            fetched = await self._reader.getmany(*places, timeout_ms=WAIT_MS, max_records=JOURNAL_AT_ONCE)
            found = [self._record(one) for records in fetched.values() for one in records]
        return found

    def _record(self, one: ConsumerRecord) -> Record:
        stream = self._streams[one.topic]
        if stream == LETTERS:
            return Record(stream, one.partition, one.offset, None, letter=stored_letter(one))
        return Record(stream, one.partition, one.offset, one.value, one.key)

    async def ends(self) -> dict[Place, tuple[int, int]]:
        """Return the end of each partition that is read here, and how many offsets lie before it."""
        assert self._reader is not None
        found: dict[Place, tuple[int, int]] = {}
        for place in (*self._journal, *self._others):
            end = self._reader.last_stable_offset(place)
            if end is not None:
                behind = max(0, end - await self._reader.position(place))
                found[self._streams[place.topic], place.partition] = end, behind
        return found

    async def close(self) -> None:
        """Let the consumer go."""
        self._journal, self._others = [], []
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.stop()
