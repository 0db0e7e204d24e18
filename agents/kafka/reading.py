"""Reads a cluster as `pipeline.runtime.reading.DataFolder` reads a folder: whole topics, to their ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any

import msgspec
from aiokafka import TopicPartition

from agents.ingest.dead_letters import letter_of
from agents.kafka import clients
from agents.kafka.control import LIVE, history_state, journal_partitions, read_plans
from agents.kafka.tables import partition_count, read_to_end, whole_topic
from models.customer import Customer
from models.ids import partition_of
from models.journal import Bundle
from models.progress import Progress
from models.receipt import FINAL
from models.topics import Topics
from pipeline.runtime.reading import command_view, customer_view, iso, outside
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import HOT, PROGRESS, cold_key, decode_customer, decode_progress, hot_key

_bundle = msgspec.json.Decoder(Bundle)


class KafkaReader:
    """Everything that a cluster says, as of now; each call reads from the topics' beginnings."""

    def __init__(self, bootstrap: str, topics: Topics):
        self.bootstrap = bootstrap
        self.topics = topics

    def _rows(self, topic: str) -> list[Any]:
        async def collect() -> list[Any]:
            return [record async for record in whole_topic(self.bootstrap, [topic])]

        return asyncio.run(collect())

    def _json(self, topic: str) -> Iterator[dict[str, Any]]:
        for record in self._rows(topic):
            yield msgspec.json.decode(record.value)

    def commands(self) -> Iterator[dict[str, Any]]:
        """Yield every committed command, partition by partition."""
        for record in self._json(self.topics.delivery):
            if record["kind"] == "command":
                yield command_view(record)

    def decisions(self) -> Iterator[dict[str, Any]]:
        """Yield every decision."""
        return (outside(record) for record in self._json(self.topics.decisions))

    def suppressions(self) -> Iterator[dict[str, Any]]:
        """Yield every fact about a suppressed address, by its keyed hash."""
        rows = {record.key: record.value for record in self._rows(self.topics.suppressions)}
        return (outside(msgspec.json.decode(value)) for value in rows.values() if value is not None)

    def vouchers(self) -> Iterator[dict[str, Any]]:
        """Yield every voucher that a message names."""
        return (outside(record) for record in self._json(self.topics.vouchers))

    def receipts(self) -> Iterator[dict[str, Any]]:
        """Yield every receipt."""
        return (outside(record) for record in self._json(self.topics.receipts))

    def dead_letters(self) -> Iterator[dict[str, Any]]:
        """Yield every dead letter."""
        return (letter_of(record) for record in self._rows(self.topics.dead_letters))

    def _states(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for record in self._rows(self.topics.changelog):
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = record.value
        return found

    def customers(self) -> Iterator[dict[str, Any]]:
        """Yield every customer, in the order of their ids."""
        states = self._states()
        for key in sorted(key for key in states if key[:1] == HOT):
            name = key[1:].decode()
            yield customer_view(decode_customer(name, states[key], states.get(cold_key(name))))

    def states(self) -> Iterator[Customer]:
        """Yield the state of every customer, partition by partition."""
        for partition in range(asyncio.run(partition_count(self.bootstrap, self.topics.changelog))):
            states = asyncio.run(self._last_values(partition))
            for key in sorted(key for key in states if key[:1] == HOT):
                name = key[1:].decode()
                yield decode_customer(name, states[key], states.get(cold_key(name)))

    async def _last_values(self, partition: int) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        async for record in self._partition(self.topics.changelog, partition):
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = record.value
        return found

    def customer(self, name: str) -> dict[str, Any] | None:
        """Return one customer from the changelog of their partition."""
        hot, cold = hot_key(name), cold_key(name)
        values = {key: value for key, value in asyncio.run(self._values(name)) if key in {hot, cold}}
        if values.get(hot) is None:
            return None
        return customer_view(decode_customer(name, values[hot], values.get(cold)))

    async def _values(self, name: str) -> list[tuple[bytes, Any]]:
        partition = partition_of(name, await journal_partitions(self.bootstrap, self.topics))
        return [(record.key, record.value) async for record in self._partition(self.topics.changelog, partition)]

    async def _partition(self, topic: str, partition: int) -> AsyncIterator[Any]:
        reader = clients.consumer(self.bootstrap)
        await reader.start()
        try:
            place = TopicPartition(topic, partition)
            begins = await reader.beginning_offsets([place])
            async for record in read_to_end(reader, begins):
                yield record
        finally:
            await reader.stop()

    def progress(self) -> dict[int, Progress]:
        """Return the last progress record of every partition."""
        found = {}
        for record in self._rows(self.topics.changelog):
            if record.key == PROGRESS:
                found[record.partition] = decode_progress(record.value)
        return found

    def standing(self) -> Progress | None:
        """Return the progress record of the partition that has come furthest, None before any commit."""
        found = self.progress()
        return max(found.values(), key=lambda one: (one.activated_at, one.watermark), default=None)

    @cached_property
    def _plans(self) -> dict[bytes, bytes]:
        return asyncio.run(read_plans(self.bootstrap, self.topics))

    def live_name(self) -> str:
        """Return the hash of the plan that was applied last, "" before any."""
        return self._plans.get(LIVE, b"").decode()

    def plan_sources(self, name: str) -> PlanSources | None:
        """Return a plan's sources by hash."""
        raw = self._plans.get(name.encode()) if name else None
        return PlanSources.decode(raw) if raw else None

    def ledger(self) -> dict[str, Any]:
        """Return what went in and what became of it: events in are counted in the journal, by position."""
        positions = set()
        total = 0
        for record in self._rows(self.topics.journal):
            for entry in _bundle.decode(record.value).entries:
                if getattr(entry, "position", None) is not None:
                    positions.add(tuple(msgspec.to_builtins(entry.position)))  # type: ignore[union-attr]
                    total += 1
        stages = [letter.get("stage") for letter in self.dead_letters()]
        counts = [one.counts for one in self.progress().values()]
        ends = dict.fromkeys(FINAL, 0)
        for receipt in self.receipts():
            if receipt["state"] in ends:
                ends[receipt["state"]] += 1
        emitted = sum(1 for _ in self.commands())
        watermarks = [one.watermark for one in self.progress().values()]
        history = asyncio.run(history_state(self.bootstrap, self.topics))
        return {
            "records": history.records,
            "events": {
                "in": total + stages.count("intake"),
                "applied": sum(one.applied for one in counts),
                "duplicate": sum(one.duplicate for one in counts),
                "dead_lettered": len(stages),
                "silent": sum(one.silent for one in counts),
                "distinct": len(positions),
            },
            "commands": {"in": emitted, **ends, "pending": emitted - sum(ends.values())},
            "watermark": iso(min(watermarks)) if watermarks else None,
        }
