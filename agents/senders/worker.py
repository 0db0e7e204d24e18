"""The sender on Kafka: a group shares out the partitions of `delivery`, and each has a lane of its own.

The group's consumer fetches nothing: each lane reads, and writes with a fenced transactional producer
(`agents.senders.delivery`). A lane is kept through a rebalance that leaves it here. Before a rebalance the rounds under
way are finished, so that their outcomes are known; a lane whose partition somebody else has opened (a frozen process
that thaws) is fenced before it calls anybody.
Anything but a clean commit: the producer is dropped, the memory discarded, and the partition opened again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from agents import metrics
from agents.kafka import clients
from agents.kafka.tables import partition_count
from agents.pausing import pause_at
from agents.senders.delivery import KafkaDeliveryLog
from agents.senders.goods import TopicGoods
from agents.senders.plans import PlanShelf
from agents.senders.suppressed import TopicSuppressions
from agents.senders.switches import SwitchBoard
from models.receipt import Receipt
from models.topics import Topics
from pipeline.errors import ParcoursError, UsageError
from pipeline.sending.breaker import Breaker
from pipeline.sending.bucket import Bucket
from pipeline.sending.catalogue import Goods
from pipeline.sending.clock import SystemClock
from pipeline.sending.lane import SenderLane
from pipeline.sending.links import Links
from pipeline.sending.outcome import Provider
from pipeline.sending.progress import SenderProgress
from pipeline.sending.protocol import FencedError, Suppressions, Switches
from pipeline.sending.stage import SenderStage
from pipeline.sending.suppressions import Suppression

REOPEN_S = 1.0
# A round's calls begin within 5 s of its check; the group waits for us as long as a session.
ROUND_S = 5.0
# A round's calls end by the provider's own time-outs; what takes longer is cut off, and reported as unknown.
STOP_S = 45.0
SESSION_MS = 6_000
HEARTBEAT_MS = 1_000
POLL_MS = 500
NEVER_MS = 2**31 - 1
log = structlog.get_logger()


@dataclass(frozen=True)
class SenderOptions:
    """One sender process. `instance` names it for the group (static membership): a restart comes back as the same.

    `goods` is the catalogue, None for that of the topic `products`. With `links` messages lead back to the collector,
    and `suppressions` are those of the topic, unless they are given.
    """

    bootstrap: str
    provider: Provider
    channel: str = "email"
    topics: Topics = field(default_factory=Topics)
    instance: str | None = None
    suppressions: Suppressions | None = None
    switches: Switches | None = None
    goods: Goods | None = None
    links: Links | None = None


class _CountedLog(KafkaDeliveryLog):
    """Counts the receipts that were committed."""

    async def commit(
        self, receipts: list[Receipt], progress: SenderProgress, facts: Sequence[Suppression] = ()
    ) -> None:
        intents = any(one.state == "intent" for one in receipts)
        if receipts and not intents:
            pause_at("called", self.partition)
        await super().commit(receipts, progress, facts)
        if intents:
            pause_at("intents", self.partition)
        for one in receipts:
            metrics.RECEIPTS.labels(one.channel, one.state).inc()


class SenderWorker:
    """Carries out the commands of one channel in every partition of `delivery` that the group gives it."""

    def __init__(self, options: SenderOptions):
        self.options = options
        self._board = SwitchBoard(options.bootstrap, options.topics)
        self._topic_goods = TopicGoods(options.bootstrap, options.topics)
        goods = options.goods or self._topic_goods
        self._shelf = PlanShelf(options.bootstrap, options.topics, goods, options.links)
        self._topic_suppressions: TopicSuppressions | None = None
        if options.suppressions is None and options.links is not None:
            self._topic_suppressions = TopicSuppressions(options.bootstrap, options.topics, options.links)
        suppressions = options.suppressions or self._topic_suppressions
        self._stage = SenderStage(options.channel, options.provider, self._shelf.renderer, suppressions, goods)
        self._breaker = Breaker()
        self._bucket = Bucket(options.provider.rate)
        self._slots = asyncio.Semaphore(options.provider.at_once)
        self._owned: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, int] = {}
        self._open: set[int] = set()
        self._stopping = False
        self._partitions = 1
        # Closed while the group places its partitions anew: a lane begins no round that its successor would cut off.
        self._may_begin = asyncio.Event()
        self._in_round: set[int] = set()
        self._between_rounds = asyncio.Event()
        self._between_rounds.set()
        self._following: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Say whether every assigned partition is open."""
        return bool(self._owned) and self._owned == self._open

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; calls under way are finished and their outcomes committed."""
        options = self.options
        await self._check_topics()
        self._tell_breaker()
        metrics.HELD.labels(options.channel).set(0)
        # Nothing goes out before it is known what an operator paused, who wants nothing, and what is in stock.
        await self._follow("switches", self._board.follow)
        if self._topic_suppressions is not None:
            await self._follow("suppressions", self._topic_suppressions.follow)
        if options.goods is None:
            await self._follow("catalogue", self._topic_goods.follow)
        members: AIOKafkaConsumer = clients.consumer(
            options.bootstrap,
            group=f"{options.topics.prefix}sender-{options.channel}",
            group_instance_id=options.instance,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=SESSION_MS,
            max_poll_interval_ms=NEVER_MS,
            auto_offset_reset="latest",  # it fetches nothing: where it would begin does not matter
        )
        await members.start()
        members.subscribe([options.topics.delivery], listener=_Listener(self, members))
        try:
            while not stop.is_set():
                self._raise_what_broke()
                self._tell_breaker()
                try:
                    await asyncio.wait_for(stop.wait(), POLL_MS / 1000)
                except TimeoutError:
                    continue
        finally:
            self._stopping = True
            self._may_begin.set()
            await self._finish()
            for task in self._following:
                task.cancel()
            await asyncio.gather(*self._following, return_exceptions=True)
            await members.stop()
            await options.provider.close()

    async def _follow(self, name: str, follow: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        """Start to follow a topic, and wait until what stands there is known."""
        known = asyncio.Event()
        task = asyncio.create_task(follow(known), name=name)
        self._following.append(task)
        waited = asyncio.create_task(known.wait())
        await asyncio.wait({waited, task}, return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()
        if task.done():
            task.result()

    async def _check_topics(self) -> None:
        """A receipt lies where its command does: the three topics have one partition count."""
        topics = self.options.topics
        counts = [
            await partition_count(self.options.bootstrap, topic)
            for topic in (topics.delivery, topics.receipts, topics.sender_progress)
        ]
        if 0 in counts or len(set(counts)) > 1:
            raise UsageError("the topics of the senders are missing or differ: run `parcours topics apply` first")
        self._partitions = counts[0]

    async def _finish(self) -> None:
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _raise_what_broke(self) -> None:
        """A fault of our own ends the process: its supervisor starts a fresh one."""
        for following in self._following:
            if following.done():
                following.result()
        for partition, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[partition]
                task.result()
                self._start_missing()

    async def revoked(self) -> None:
        """Let the rounds under way come to their end, and begin no other, until it is known what stays here."""
        self._may_begin.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._between_rounds.wait(), ROUND_S)

    def assigned(self, partitions: Iterable[int]) -> None:
        """Take what the group gives; lanes that stay here go on undisturbed."""
        self._owned = set(partitions)
        metrics.ASSIGNED.labels(f"sender-{self.options.channel}").set(len(self._owned))
        self._may_begin.set()
        log.info("sender assigned", channel=self.options.channel, partitions=sorted(self._owned))
        self._start_missing()

    def _start_missing(self) -> None:
        for partition in sorted(self._owned - self._tasks.keys()):
            self._tasks[partition] = asyncio.create_task(self._live(partition), name=f"sender {partition}")

    def _mine(self, partition: int) -> bool:
        return partition in self._owned and not self._stopping

    async def _live(self, partition: int) -> None:
        """Open, work, and open again after an error, as long as the partition is ours."""
        while self._mine(partition):
            cause = await self._once(partition)
            if cause is not None:
                metrics.REOPENED.labels(type(cause).__name__).inc()
                log.warning("sender opens again", partition=partition, cause=f"{type(cause).__name__}: {cause}"[:300])
                await asyncio.sleep(REOPEN_S)

    async def _once(self, partition: int) -> Exception | None:
        options = self.options
        delivery = _CountedLog(options.bootstrap, options.topics, options.channel, partition, self._shelf.need)
        try:
            progress = await delivery.open()
            lane = SenderLane(
                self._stage,
                delivery,
                SystemClock(),
                progress,
                breaker=self._breaker,
                bucket=self._bucket,
                slots=self._slots,
                switches=options.switches or self._board,
                partitions=self._partitions,
            )
            await lane.open()
            self._opened(partition, True)
            while self._mine(partition):
                await self._round(partition, lane)
                self._gauge(partition, lane.held)
        except FencedError as error:
            return error
        except (KafkaError, ParcoursError, OSError) as error:
            return error
        finally:
            self._opened(partition, False)
            self._gauge(partition, 0)
            await delivery.close()
        return None

    def _opened(self, partition: int, is_open: bool) -> None:
        (self._open.add if is_open else self._open.discard)(partition)
        metrics.OPEN.labels(f"sender-{self.options.channel}").set(len(self._open))

    async def _round(self, partition: int, lane: SenderLane) -> None:
        await self._may_begin.wait()
        if not self._mine(partition):
            return
        self._in_round.add(partition)
        self._between_rounds.clear()
        try:
            await lane.round()
        finally:
            self._in_round.discard(partition)
            self._tell_breaker()
            if not self._in_round:
                self._between_rounds.set()

    def _tell_breaker(self) -> None:
        metrics.BREAKER.labels(self.options.channel, self.options.provider.name).set(
            self._breaker.is_open(SystemClock().ticks())
        )

    def _gauge(self, partition: int, held: int) -> None:
        if self._held.get(partition, 0) != held:
            self._held[partition] = held
            metrics.HELD.labels(self.options.channel).set(sum(self._held.values()))


class _Listener(ConsumerRebalanceListener):
    def __init__(self, worker: SenderWorker, members: AIOKafkaConsumer):
        self._worker = worker
        self._members = members

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finish what is under way: who takes a partition over fences it at once, and would know no outcome."""
        await self._worker.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Take the new set, and fetch none of it by the group's own consumer."""
        if assigned:
            self._members.pause(*assigned)
        self._worker.assigned(place.partition for place in assigned)


async def run(
    *,
    bootstrap: str,
    topics: Topics,
    channel: str,
    provider: Provider,
    stop: asyncio.Event,
    instance: str | None = None,
    announce: Callable[[Callable[[], bool]], None] = lambda _: None,
    goods: Goods | None = None,
    links: Links | None = None,
) -> None:
    """Share the partitions of `delivery` with other senders until stopped; `announce` gets the readiness test."""
    worker = SenderWorker(SenderOptions(bootstrap, provider, channel, topics, instance, goods=goods, links=links))
    announce(lambda: worker.ready)
    await worker.run(stop)
