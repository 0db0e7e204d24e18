"""The consumer of the simulated broker, in aiokafka's own shape, alone or in a group."""

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

from aiokafka import ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.errors import CommitFailedError, RequestTimedOutError

from tests.sim.cluster.broker import Broker
from tests.sim.cluster.clock import here

_numbers = count(1)


async def _nothing() -> None:
    """Close what holds nothing."""


class _State:
    has_valid_position = True

    def __init__(self, position: int):
        self.position = position


class Consumer:
    """A consumer of committed records, alone or in a group."""

    def __init__(self, broker: Broker, *topics: str, group: str | None = None, **more: Any):
        self.broker = broker
        self.process = here()
        self.topics: list[str] = list(topics)
        self.group_id = group
        self.member_id = more.get("group_instance_id") or f"{self.process.name}-{next(_numbers)}"
        self.positions: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, tuple[int, int]] = {}
        self.polled: dict[TopicPartition, float] = {}
        self.paused: set[TopicPartition] = set()
        self.assigned: set[TopicPartition] = set()
        self.stopped = False
        self.silent_since: float | None = None
        self._listener: Any = None
        self._joining: asyncio.Task[None] | None = None
        self._again = False
        assignment = SimpleNamespace(state_value=self._state)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
        self._client = SimpleNamespace(
            force_metadata_update=self.process.effect, fetch_all_metadata=self._metadata
        )  # fmt: skip

    def _state(self, place: TopicPartition) -> "_State | None":
        """Return the place's state as aiokafka keeps it: None where it is not assigned any more."""
        return _State(self.positions[place]) if place in self.assigned and place in self.positions else None

    async def _metadata(self) -> Any:
        counts = self.broker.counts
        return SimpleNamespace(partitions_for_topic=lambda topic: set(range(counts.get(topic, 0))))

    async def start(self) -> None:
        await self.process.effect()

    async def stop(self) -> None:
        self.stopped = True
        if self._joining is not None and self._joining is not asyncio.current_task():
            self._joining.cancel()
        await self.process.effect()
        if self.group_id is not None:
            self.broker.leave(self.broker.group(self.group_id), self)

    # -- the group

    def subscribe(self, topics: list[str], listener: Any = None) -> None:
        self.topics, self._listener = list(topics), listener
        assert self.group_id is not None
        self.broker.join(self.broker.group(self.group_id), self)

    def rejoin(self) -> None:
        """The group has changed: hear of it in a task of this process."""
        if self._joining is not None and not self._joining.done():
            self._again = True
            return
        if not (self.stopped or self.process.dead):
            self._joining = self.process.start(self._heard())

    async def _heard(self) -> None:
        while True:
            self._again = False
            await self.process.effect()
            before, self.assigned = self.assigned, set()
            if self._listener is not None:
                await self._listener.on_partitions_revoked(before)
            await self.process.effect()
            assert self.group_id is not None
            group = self.broker.group(self.group_id)
            given = group.given.get(self.member_id, []) if group.members.get(self.member_id) is self else []
            self.assigned, self.paused = set(given), set()
            self.positions = {place: group.offsets[place].offset for place in given if place in group.offsets}
            if self._listener is not None:
                await self._listener.on_partitions_assigned(set(given))
            if not self._again:
                return

    async def commit(self, offsets: dict[TopicPartition, Any]) -> None:
        await self.process.effect()
        assert self.group_id is not None
        group = self.broker.group(self.group_id)
        mine = group.given.get(self.member_id, []) if group.members.get(self.member_id) is self else []
        if any(place not in mine for place in offsets):
            raise CommitFailedError
        for place, said in offsets.items():
            group.offsets[place] = said if isinstance(said, OffsetAndMetadata) else OffsetAndMetadata(said, "")
        if self.broker.dice.random() < self.broker.trouble:
            raise RequestTimedOutError
        await self.process.effect()

    # -- reading

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned, self.paused = set(places), set()

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.paused -= set(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        await self.process.effect()
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        await self.process.effect()
        return {place: self.broker.logs[place].last_stable for place in places}

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        await self.process.effect()
        found = {}
        for place, since in times.items():
            rows = [one.record.offset for one in self.broker.logs[place].entries if one.record.timestamp >= since]
            found[place] = SimpleNamespace(offset=rows[0]) if rows else None
        return found

    def highwater(self, place: TopicPartition) -> int | None:
        assert place in self.assigned, "Partition is not assigned"  # as aiokafka's own
        return self.ends[place][0] if place in self.ends else None

    def last_stable_offset(self, place: TopicPartition) -> int | None:
        assert place in self.assigned, "Partition is not assigned"
        return self.ends[place][1] if place in self.ends else None

    def last_poll_timestamp(self, place: TopicPartition) -> float | None:
        return self.polled.get(place)

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return the next committed records, as many as a fetch happens to bring."""
        if not self._has_more(places):
            await self.process.effect(max(timeout_ms, 1) / 1000)
        return await self._fetch(places, max_records)

    def _has_more(self, places: tuple[TopicPartition, ...]) -> bool:
        """Say whether a fetch would bring anything now."""
        wanted = set(places or self.assigned) & (self.assigned - self.paused) & set(self.positions)
        return any(self.positions[place] < self.broker.logs[place].last_stable for place in wanted)

    async def _fetch(
        self, places: tuple[TopicPartition, ...], max_records: int | None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        wanted = sorted(set(places or self.assigned) & (self.assigned - self.paused) & set(self.positions))
        taken = {place: self._taken(place, max_records) for place in wanted}
        await self.process.effect()
        found = {}
        for place, (records, start, after, ends) in taken.items():
            if place not in self.assigned or place in self.paused or self.positions.get(place) != start:
                continue  # it was sought elsewhere, or taken away, while the answer was on its way
            self.positions[place], self.ends[place] = after, ends
            self.polled[place] = self.broker.clock.time() * 1000
            if records:
                found[place] = records
        return found

    def _taken(
        self, place: TopicPartition, max_records: int | None
    ) -> tuple[list[ConsumerRecord], int, int, tuple[int, int]]:
        log, start = self.broker.logs[place], self.positions[place]
        most = min(max_records or 500, self.broker.dice.choice((1, 5, 500)))
        records, at = [], start
        while at < log.last_stable and len(records) < most:
            if log.entries[at].state == "kept":
                records.append(log.entries[at].record)
            at += 1
        while at < log.last_stable and log.entries[at].state != "kept":
            at += 1
        return records, start, at, (log.end, log.last_stable)

    async def getone(self) -> ConsumerRecord:
        while True:
            for records in (await self.getmany(timeout_ms=50, max_records=1)).values():
                return records[0]
