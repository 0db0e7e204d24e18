"""Planted bugs: what the simulator must find. Each is a patch over the workers' own code, for tests alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiokafka import OffsetAndMetadata, TopicPartition
from msgspec.structs import replace

from agents.ingest.dead_letters import message_of
from agents.ingest.live import LiveIngest
from agents.ingest.writer import JournalWriter
from agents.journeys import lane as lanes
from agents.journeys.transacting import Sent
from models.command import Command
from models.journal import Tick
from pipeline.engine import api
from pipeline.journal.bundler import Bundler
from pipeline.journal.codec import encode as encode_bundle
from pipeline.runtime import partition as runtime
from pipeline.runtime.partition import PartitionRuntime
from pipeline.sending.lane import SenderLane
from tests.sim.cluster.processes import patched

Patches = dict[str, Any]


def no_fencing() -> Patches:
    """An earlier owner of a journal partition, or of a sender's, may still commit."""
    return {"tests.sim.cluster.producer.Producer._check": lambda self: None}


def commit_before_flush() -> Patches:
    """A transaction is committed without a look at what became of its records."""

    async def offset(self: Sent) -> int:
        found = [one.result() for one in self.futures if one.exception() is None]
        return int(found[-1].offset) + self.after_base if found else 0

    return {"agents.journeys.transacting.Sent.offset": offset}


def random_command_ids() -> Patches:
    """A command's id says nothing of what it is of."""
    names = iter(range(10**9))

    def measured(done: Any) -> Any:
        named = [replace(one, id=f"{next(names):032x}") for one in done.commands]
        return _measured(_with_commands(done, named))

    _measured = runtime.measured
    return {"pipeline.runtime.partition.measured": measured}


def _with_commands(done: Any, commands: list[Command]) -> Any:
    """Return a transition with other commands."""
    done.commands[:] = commands
    return done


def tick_before_its_events() -> Patches:
    """A tick goes out ahead of the events that it speaks of."""
    _take = Bundler.take

    def take(self: Bundler, partition: int) -> Any:
        waiting = self._open[partition]
        ticks = [one for one in waiting.entries if msgspec.json.decode(one).get("kind") == "tick"]
        others = [one for one in waiting.entries if one not in ticks]
        waiting.entries.clear()
        waiting.entries.extend([*ticks, *others])
        return _take(self, partition)

    # At once: a quarter of a second later what is read stands in an earlier bundle, in whatever order.
    return {"pipeline.journal.bundler.Bundler.take": take, "agents.ingest.live.BUSY_TICK_S": 0.0}


def offsets_acknowledged_early() -> Patches:
    """The ingest commits its offsets before the journal has what they cover."""
    _round, _commit = LiveIngest._round, LiveIngest._commit

    async def early(self: LiveIngest) -> None:
        if self.owned and not self.given:
            for one in self.owned.values():
                one.first_noted = True
        await _round(self)

    def mapped(self: LiveIngest, owned: Any, records: list[Any]) -> Any:
        found = _map(self, owned, records)
        place = TopicPartition(owned.source.topic, owned.partition)
        group = self.reader.broker.group(self.group)
        said = json.dumps(msgspec.to_builtins(owned.footprint))
        group.offsets[place] = OffsetAndMetadata(owned.clock.next, said)
        return found

    _map = LiveIngest._map
    return {"agents.ingest.live.LiveIngest._round": early, "agents.ingest.live.LiveIngest._map": mapped}


def writes_past_a_failed_bundle() -> Patches:
    """The ingest goes on with the next bundle when one failed."""

    async def flush(self: JournalWriter, partition: int) -> None:
        while (bundle := self.bundler.take(partition)) is not None:
            done = await self.producer.send(self.topics.journal, encode_bundle(bundle), partition=partition)
            if done.exception() is None:
                self.appended_at = max(self.appended_at, done.result().timestamp)

    return {"agents.ingest.writer.JournalWriter._flush": flush}


def dead_letters_not_awaited() -> Patches:
    """The ingest asks nobody whether a dead letter was taken (found by seed 500 of this simulator)."""

    async def bury(self: JournalWriter, letters: Any) -> None:
        for letter in letters:
            await self.producer.send(self.topics.dead_letters, **message_of(letter))
        await self.producer.flush()

    return {"agents.ingest.writer.JournalWriter.bury": bury}


def hosts_clock_in_ticks() -> Patches:
    """Ticks carry the time of the ingest's host, without the source's delay."""
    _put = Bundler.put

    def put(self: Bundler, entry: Any, partition: int, now_ms: int) -> None:
        if isinstance(entry, Tick) and entry.before:
            now = lanes.time.time_ns() // 1_000_000
            entry = replace(entry, before=now, upto=now)
        _put(self, entry, partition, now_ms)

    return {"pipeline.journal.bundler.Bundler.put": put}


def stale_store_trusted() -> Patches:
    """A store that is behind its changelog is taken for the truth: the rest is not read."""

    async def restore(bootstrap: str, topics: Any, partition: int, store: Any, now_ms: int) -> Any:
        return store.progress() or await _restore(bootstrap, topics, partition, store, now_ms)

    _restore = lanes.restore
    return {"agents.journeys.lane.restore": restore}


def watermark_used_as_now() -> Patches:
    """What is decided is decided at the watermark, and not at the time of what brought it."""

    def fire_timers(customer: Any, watermark: int, plan: Any, **more: Any) -> Any:
        return _fire(replace(customer, now=max(customer.now, watermark)), watermark, plan, **more)

    _fire = api.fire_timers
    return {"pipeline.engine.api.fire_timers": fire_timers}


def control_overtakes_due_timers() -> Patches:
    """A plan acts before what was due ahead of it is done."""
    return {"pipeline.runtime.partition.PartitionRuntime.drain_all": lambda self: None}


def duplicates_applied() -> Patches:
    """What ingest wrote twice is applied twice."""
    return {
        "pipeline.journal.watermark.SourceTable.accept": lambda self, position: True,
        "pipeline.engine.api.note_id": lambda work, name: None,
    }


def unfenced_sender_without_intents() -> Patches:
    """A sender calls first and writes its intent with the outcome: who dies between calls again."""
    _commit = SenderLane._commit

    async def commit(self: SenderLane, receipts: Any) -> None:
        kept = list(receipts)
        if not (kept and all(one.state == "intent" for one in kept)):
            await _commit(self, kept)

    return {"pipeline.sending.lane.SenderLane._commit": commit}


def cancels_not_heard() -> Patches:
    """A sender does not read what the engine took back."""

    async def nothing(self: SenderLane, ticks: int) -> None:
        """Hear nothing."""

    return {"pipeline.sending.lane.SenderLane._read_cancels": nothing}


def nothing_held_while_catching_up() -> Patches:
    """A sender does not ask how far the engine is behind, nor whether something was cancelled."""
    return {"pipeline.sending.stage.SenderStage.holds": lambda self, queued, behind_ms: False}


def position_lost() -> Patches:
    """After each commit the progress record forgets the last message that it read."""
    _take = PartitionRuntime.take

    def take(self: PartitionRuntime) -> Any:
        batch = _take(self)
        batch.progress = replace(batch.progress, next_offset=max(batch.progress.next_offset - 1, 0), sources=())
        return batch

    return {"pipeline.runtime.partition.PartitionRuntime.take": take}


BUGS: dict[str, Callable[[], Patches]] = {
    one.__name__: one
    for one in (
        no_fencing, commit_before_flush, random_command_ids, tick_before_its_events, offsets_acknowledged_early,
        writes_past_a_failed_bundle, hosts_clock_in_ticks, dead_letters_not_awaited, stale_store_trusted, watermark_used_as_now,
        control_overtakes_due_timers, duplicates_applied, unfenced_sender_without_intents, cancels_not_heard,
        nothing_held_while_catching_up, position_lost,
    )
}  # fmt: skip


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a bug for as long as the context lasts."""
    with patched(BUGS[name]()):
        yield
