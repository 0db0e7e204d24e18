"""A simulated Kafka: logs with transactions, fencing, groups. What is said of it here is what the real one promises."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord, OffsetAndMetadata, TopicPartition

from tests.sim.cluster.clock import Clock, Process

TRANSACTION_MS = 15_000
SESSION_S = 6.0
LOOK_S = 0.5


@dataclass
class Entry:
    """One place of a log: a record, or the marker that ends a transaction. `state`: kept, open, aborted, marker."""

    record: ConsumerRecord
    state: str
    writer: str = ""


@dataclass
class Log:
    """One partition."""

    entries: list[Entry] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    @property
    def end(self) -> int:
        return len(self.entries)

    @property
    def last_stable(self) -> int:
        """Return the offset of the first record of a transaction that is still open, the end where there is none."""
        return min(self.open, default=self.end)

    def committed(self) -> list[ConsumerRecord]:
        """Return what a reader of committed records sees."""
        return [one.record for one in self.entries[: self.last_stable] if one.state == "kept"]


@dataclass
class Transaction:
    """An open transaction: its places, and when it began (the broker's ms)."""

    places: list[tuple[TopicPartition, int]] = field(default_factory=list)
    began: int = 0


@dataclass
class Group:
    """A consumer group: members by their ids, who has what, and the offsets."""

    members: dict[str, Any] = field(default_factory=dict)
    given: dict[str, list[TopicPartition]] = field(default_factory=dict)
    offsets: dict[TopicPartition, OffsetAndMetadata] = field(default_factory=dict)
    given_up: list[Any] = field(default_factory=list)


class Broker:
    """The topics of one simulation; `append_time` names those that carry the broker's own time."""

    def __init__(self, clock: Clock, dice: random.Random, topics: dict[str, int], append_time: str):
        self.clock = clock
        self.dice = dice
        self.append_time = append_time
        self.logs = {TopicPartition(name, number): Log() for name, count in topics.items() for number in range(count)}
        self.counts = topics
        self.epochs: dict[str, int] = {}
        self.open: dict[str, Transaction] = {}
        self.groups: dict[str, Group] = {}
        # How likely an answer of the broker is lost, before or after it did what was asked.
        self.trouble = 0.0
        # Told of every record of a transaction: what happens to a process in the middle of one is set here.
        self.trap: Callable[[Process, int], None] | None = None
        self.fenced = 0
        self.unknown_commits = 0
        self.aborted = 0

    def append(
        self, place: TopicPartition, value: bytes | None, key: bytes | None, headers: list[Any], at: int | None,
        writer: str = "",
    ) -> ConsumerRecord:  # fmt: skip
        log = self.logs[place]
        stamp = self.clock.broker_ms() if at is None or place.topic == self.append_time else at
        record = ConsumerRecord(
            place.topic, place.partition, log.end, stamp, 0, key, value, None, 0, 0, tuple(headers)
        )  # fmt: skip
        log.entries.append(Entry(record, "open" if writer else "kept", writer))
        if writer:
            log.open.add(record.offset)
            self.open[writer].places.append((place, record.offset))
        return record

    def begin_epoch(self, writer: str) -> int:
        """Fence every earlier producer of a transactional id and end what it left open."""
        self.epochs[writer] = self.epochs.get(writer, 0) + 1
        self.end(writer, commit=False)
        return self.epochs[writer]

    def end(self, writer: str, *, commit: bool) -> None:
        found = self.open.pop(writer, None)
        if found is None:
            return
        for place, offset in found.places:
            self.logs[place].entries[offset].state = "kept" if commit else "aborted"
            self.logs[place].open.discard(offset)
        for place in dict.fromkeys(place for place, _ in found.places):
            marker = self.append(place, None, None, [], None)
            self.logs[place].entries[marker.offset].state = "marker"
        self.aborted += not commit and bool(found.places)

    def committed(self, topic: str) -> list[ConsumerRecord]:
        """Return all that readers of committed records see of a topic, partition by partition."""
        return [
            record for number in range(self.counts[topic]) for record in self.logs[TopicPartition(topic, number)].committed()
        ]  # fmt: skip

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group())

    async def keep_house(self) -> None:
        """Time out transactions and members, as the coordinators do."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self.clock.broker_ms()
            for writer in [one for one, found in self.open.items() if now - found.began > TRANSACTION_MS]:
                self.begin_epoch(writer)
            for group in self.groups.values():
                self._look_at(group)

    def _look_at(self, group: Group) -> None:
        gone = [name for name, one in group.members.items() if self._expired(one)]
        group.given_up += [group.members.pop(name) for name in gone]
        # Who was given up comes back by itself as soon as it is awake, unless another has its place by now.
        back = [one for one in group.given_up if not self._expired(one)]
        group.given_up = [one for one in group.given_up if one not in back and not (one.process.dead or one.stopped)]
        for one in back:
            group.members.setdefault(one.member_id, one)
        if gone or back:
            self.rebalance(group)

    def _expired(self, member: Any) -> bool:
        process: Process = member.process
        if process.dead or member.stopped:
            member.silent_since = member.silent_since or self.clock.monotonic()
        elif process.frozen_at is not None:
            member.silent_since = process.frozen_at
        else:
            member.silent_since = None
        return member.silent_since is not None and self.clock.monotonic() - member.silent_since > SESSION_S

    def join(self, group: Group, member: Any) -> None:
        """A member comes, or comes back under its static id."""
        group.members[member.member_id] = member
        self.rebalance(group)

    def leave(self, group: Group, member: Any) -> None:
        if group.members.get(member.member_id) is member:
            del group.members[member.member_id]
            self.rebalance(group)

    def rebalance(self, group: Group) -> None:
        """Give every partition of the subscribed topics to a member; each hears of it when it can."""
        names = sorted(group.members)
        group.given = {name: [] for name in names}
        places = [
            TopicPartition(topic, number)
            for topic in sorted({topic for one in group.members.values() for topic in one.topics})
            for number in range(self.counts[topic])
        ]
        self.dice.shuffle(places)
        for index, place in enumerate(places):
            able = [name for name in names if place.topic in group.members[name].topics]
            group.given[able[index % len(able)]].append(place)
        for name in names:
            group.members[name].rejoin()

    def offsets(self, name: str) -> dict[TopicPartition, OffsetAndMetadata]:
        return dict(self.group(name).offsets)

    @contextlib.contextmanager
    def quiet(self) -> Any:
        """Let nothing go wrong for a while."""
        kept, self.trouble = self.trouble, 0.0
        try:
            yield
        finally:
            self.trouble = kept
