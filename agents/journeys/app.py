"""The Faust application: its Kafka part is off; our own consumer (the pump) feeds a real agent through a channel.

Faust gives the application, the agent and its supervision, services, and the worker's life. Its consumer, tables and
exactly-once are not used: they lose input after some rebalances (docs/decisions/0005-faust-as-the-shell.md).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import faust
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from agents.journeys.lane import Lane, Place
from agents.kafka import clients
from agents.kafka.control import read_plans
from models.topics import Topics
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources
from pipeline.sending.links import links_from_environment

FETCH_MS = 100
TELL_S = 1.0
log = structlog.get_logger()


class Shell(faust.App.BootStrategy):
    """Start everything of Faust but its own Kafka client."""

    enable_kafka = False


class App(faust.App):
    """An application whose input is a channel."""

    BootStrategy = Shell


class Pump(Service):
    """Our consumer of the journal: assigns lanes, fetches, and puts each fetched chunk on the channel."""

    def __init__(self, app: App, channel: Any, bootstrap: str, topics: Topics, data: Path, instance: str, count: int):
        super().__init__()
        self.faust_app = app
        self.channel = channel
        self.bootstrap = bootstrap
        self.topics = topics
        self.data = data
        self.partitions = count
        self.sources: dict[str, PlanSources] = {}
        # One for all assignments: compiling holds the loop, and on a busy machine a session may end meanwhile.
        self.links = links_from_environment()
        self.book = PlanBook(self.sources.get, self.links.voucher_key if self.links else b"", key_needed=True)
        self.lanes: dict[int, Lane] = {}
        self.epochs: dict[int, int] = {}
        self.noted: dict[int, int] = {}
        self.reader: AIOKafkaConsumer = clients.consumer(
            bootstrap,
            group=f"{topics.prefix}journeys",
            group_instance_id=instance,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            rebalance_timeout_ms=6_000,
        )
        self._leaving: set[asyncio.Task[None]] = set()

    async def on_start(self) -> None:
        """Join the group. Without `resume` a channel without Kafka waits for ever."""
        self.faust_app.flow_control.resume()
        await self.refresh()
        await self.reader.start()
        self.reader.subscribe([self.topics.journal], listener=_Listener(self))

    async def on_stop(self) -> None:
        """Leave: lanes first, so that nothing is committed after the group has gone on."""
        await asyncio.gather(*[lane.stop() for lane in self.lanes.values()])
        self.lanes.clear()
        await self.reader.stop()

    async def refresh(self) -> None:
        """Read the stored plans."""
        found = await read_plans(self.bootstrap, self.topics)
        for key, value in found.items():
            name = key.decode()
            if len(name) == 32 and name not in self.sources:
                self.sources[name] = PlanSources.decode(value)

    @Service.task
    async def pump(self) -> None:
        """Fetch and hand on; a chunk of an assignment that is over is dropped by its lane."""
        while not self.should_stop:
            if not self.reader.assignment():
                await asyncio.sleep(FETCH_MS / 1000)
                continue
            fetched = await self.reader.getmany(timeout_ms=FETCH_MS, max_records=200)
            epochs = dict(self.epochs)  # as they are now that it was fetched: a lane may seek while one is put
            for place, records in fetched.items():
                await self.channel.put((place.partition, epochs.get(place.partition, 0), records))

    @Service.task
    async def tell(self) -> None:
        """Commit the group's offsets once a second, for lag monitors alone: the truth is the progress record."""
        while not self.should_stop:
            await self.sleep(TELL_S)
            noted = [(one, offset) for one, offset in self.noted.items() if self.owned(one)]
            self.noted.clear()  # the lanes hold on to this very dict
            places = {TopicPartition(self.topics.journal, one): offset for one, offset in noted}
            if places:
                try:
                    await self.reader.commit(places)
                except KafkaError as error:
                    log.info("the group's offsets were not taken", cause=type(error).__name__)

    def dispatch(self, partition: int, epoch: int, records: list[Any]) -> None:
        """Give a chunk to its lane, unless the partition has moved on since it was fetched."""
        lane = self.lanes.get(partition)
        if lane is not None and epoch == self.epochs.get(partition):
            lane.queue.put_nowait(records)

    def ready(self) -> bool:
        """Say whether every partition that was given is open."""
        return bool(self.lanes) and all(lane.runtime is not None for lane in self.lanes.values())

    def owned(self, partition: int) -> bool:
        """Say whether the group gives this worker a partition now."""
        return TopicPartition(self.topics.journal, partition) in self.reader.assignment()

    def go_on(self, partition: int, offset: int) -> None:
        """Read a partition from an offset on: its runtime is open."""
        if not self.owned(partition):
            return
        place = TopicPartition(self.topics.journal, partition)
        self.epochs[partition] = self.epochs.get(partition, 0) + 1
        self.reader.seek(place, offset)
        self.reader.resume(place)

    def assigned(self, partitions: set[int]) -> None:
        """Pause what was given and open each in a task; the listener must return at once."""
        places = [TopicPartition(self.topics.journal, one) for one in partitions]
        self.reader.pause(*places)
        for place in places:
            # A place to stand on while it is paused: without one a group that never committed ends the consumer.
            self.reader.seek(place, 0)
        for partition in sorted(partitions):
            place = Place(
                bootstrap=self.bootstrap,
                topics=self.topics,
                data=self.data,
                partitions=self.partitions,
                plans=self.book,
                seek=self.go_on,
                owned=self.owned,
                refresh=self.refresh,
                links=self.links,
                note=self.noted.__setitem__,
            )
            self.lanes[partition] = Lane(partition, place)
            self.lanes[partition].start()

    async def revoked(self, partitions: set[int]) -> None:
        """Stop feeding; the successor fences whatever is still open."""
        for partition in partitions:
            self.epochs[partition] = self.epochs.get(partition, 0) + 1
        leaving = [self.lanes.pop(one) for one in sorted(partitions) if one in self.lanes]
        await asyncio.gather(*[lane.stop() for lane in leaving])


class _Listener(ConsumerRebalanceListener):
    def __init__(self, pump: Pump):
        self.pump = pump

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Give up."""
        await self.pump.revoked({place.partition for place in revoked})

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Take."""
        log.info("assigned", partitions=sorted(place.partition for place in assigned))
        self.pump.assigned({place.partition for place in assigned})


def build(bootstrap: str, topics: Topics, data: Path, instance: str, partitions: int) -> tuple[App, Pump]:
    """Return the application with its agent, and the pump that feeds it."""
    app = App(
        f"{topics.prefix}journeys",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        # It makes its folder when it starts, and a container's working folder cannot be written.
        datadir=str(data / "faust"),
        web_enabled=False,
        web_bind="127.0.0.1",
    )
    channel = app.channel(maxsize=64)
    pump = Pump(app, channel, bootstrap, topics, data, instance, partitions)

    @app.agent(channel, name="journeys")
    async def journeys(chunks: AsyncIterator[Any]) -> None:
        async for partition, epoch, records in chunks:
            pump.dispatch(partition, epoch, records)

    return app, pump
