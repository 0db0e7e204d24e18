"""Plans and control records: written to every journal partition, acting once by their id."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from agents.kafka import clients
from agents.kafka.tables import partition_count, whole_topic
from models.command import Release
from models.event import Event
from models.ids import digest, partition_of
from models.journal import Bundle, Entry, PlanActivated, ScenarioSwitched, SourceChanged
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.journal.codec import encode
from pipeline.journal.records_clock import IngestState
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources

LIVE = b"live"
ACTIVATIONS = b"activations"
HISTORY = b"history"
SWITCHES = b"switches"
HANDED_AT_ONCE = 500


class Switched(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is paused or stopped by now, for the senders: scenarios, and channels; `number` counts the changes."""

    number: int = 0
    states: dict[str, str] = {}
    channels: dict[str, str] = {}


async def read_plans(bootstrap: str, topics: Topics) -> dict[bytes, bytes]:
    """Return the compacted topic: plan sources by hash, the live plan's hash, the history's ingest position."""
    found: dict[bytes, bytes] = {}
    async for record in whole_topic(bootstrap, [topics.plans]):
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = record.value
    return found


async def journal_partitions(bootstrap: str, topics: Topics) -> int:
    """Return the journal's partition count; UsageError where there is no journal."""
    count = await partition_count(bootstrap, topics.journal)
    if not count:
        raise UsageError(f"the topic {topics.journal} does not exist: run `parcours topics apply` first")
    return count


async def write_to_all(bootstrap: str, topics: Topics, entries: list[Entry], writer: str) -> int:
    """Write entries into every journal partition; return the newest append time (UTC ms, the broker's)."""
    partitions = await journal_partitions(bootstrap, topics)
    sender = clients.producer(bootstrap)
    await sender.start()
    try:
        value = encode(Bundle(writer=writer, entries=entries))
        newest = 0
        for partition in range(partitions):
            done = await sender.send_and_wait(topics.journal, value, partition=partition)
            newest = max(newest, done.timestamp)
        return newest
    finally:
        await sender.stop()


async def put(bootstrap: str, topics: Topics, pairs: list[tuple[bytes, bytes]]) -> None:
    """Write values into the compacted topic, acknowledged."""
    sender = clients.producer(bootstrap)
    await sender.start()
    try:
        for key, value in pairs:
            await sender.send_and_wait(topics.plans, value, key=key, partition=0)
    finally:
        await sender.stop()


async def activate(bootstrap: str, topics: Topics, sources: PlanSources, at: int) -> bool:
    """Make a plan live from log time `at` (UTC ms) on; False where it is live already. The plan is stored first.

    A try that was cut off says the same again, under the same id: partitions that have heard it pass over it. A plan
    that comes back is another activation, so they are counted; the count moves after the plan stands as the live one.
    """
    compile_plan(sources)
    known = await read_plans(bootstrap, topics)
    if known.get(LIVE) == sources.hash.encode():
        return False
    await put(bootstrap, topics, [(sources.hash.encode(), sources.encode())])
    count = int(known.get(ACTIVATIONS, b"0"))
    name = digest("activate", sources.hash, known.get(LIVE, b"").decode(), str(count))
    await write_to_all(bootstrap, topics, [PlanActivated(id=name, plan=sources.hash, at=at)], "control")
    await put(bootstrap, topics, [(LIVE, sources.hash.encode()), (ACTIVATIONS, str(count + 1).encode())])
    return True


async def live_sources(bootstrap: str, topics: Topics) -> PlanSources | None:
    """Return the live plan's sources, None where no plan is live."""
    known = await read_plans(bootstrap, topics)
    raw = known.get(known.get(LIVE, b""))
    return None if raw is None else PlanSources.decode(raw)


async def live_scenarios(bootstrap: str, topics: Topics) -> list[str]:
    """Return the names of the live plan's scenarios; UsageError where no plan is live."""
    live = await live_sources(bootstrap, topics)
    if live is None:
        raise UsageError("no plan is live: `parcours apply DIR` makes one")
    return sorted(compile_plan(live).live)


async def switch(bootstrap: str, topics: Topics, scenario: str, state: str, at: int) -> None:
    """Pause, stop or resume a scenario ("*": all): the senders first, then every journal partition."""
    number = await tell_senders(bootstrap, topics, scenario, state)
    await tell_engine(bootstrap, topics, scenario, state, at, number)


async def tell_senders(bootstrap: str, topics: Topics, scenario: str, state: str) -> int:
    """Say to the senders that a scenario ("*": all) is paused, stopped or active; return the number of the change."""
    before = await _switched(bootstrap, topics)
    after = Switched(before.number + 1, _with(before.states, scenario, state), before.channels)
    await put(bootstrap, topics, [(SWITCHES, msgspec.json.encode(after))])
    return after.number


async def switch_channel(bootstrap: str, topics: Topics, channel: str, state: str) -> None:
    """Pause a channel or let it go on: a word to its senders alone, the engine goes on emitting."""
    before = await _switched(bootstrap, topics)
    after = Switched(before.number + 1, before.states, _with(before.channels, channel, state))
    await put(bootstrap, topics, [(SWITCHES, msgspec.json.encode(after))])


async def _switched(bootstrap: str, topics: Topics) -> Switched:
    raw = (await read_plans(bootstrap, topics)).get(SWITCHES)
    return msgspec.json.decode(raw, type=Switched) if raw else Switched()


def _with(states: dict[str, str], name: str, state: str) -> dict[str, str]:
    left = {one: said for one, said in states.items() if one != name}
    return left if state == "active" else {**left, name: state}


async def tell_engine(bootstrap: str, topics: Topics, scenario: str, state: str, at: int, number: int) -> None:
    """Write a switch into every journal partition, as of log time `at` (UTC ms)."""
    name = digest("switch", scenario, state, str(number))
    entry = ScenarioSwitched(id=name, scenario=scenario, state=state, at=at)
    await write_to_all(bootstrap, topics, [entry], "control")


async def release(bootstrap: str, topics: Topics, scenario: str, at: int, *, cancel: bool) -> None:
    """Let the commands go that the senders hold of a scenario, or drop them; in every partition of `delivery`."""
    count = await partition_count(bootstrap, topics.delivery)
    if not count:
        raise UsageError(f"the topic {topics.delivery} does not exist: run `parcours topics apply` first")
    record = Release(id=digest("release", scenario, str(at), str(cancel)), scenario=scenario, cancel=cancel, at=at)
    sender = clients.producer(bootstrap)
    await sender.start()
    try:
        for partition in range(count):
            await sender.send_and_wait(topics.delivery, msgspec.json.encode(record), partition=partition)
    finally:
        await sender.stop()


async def hand_on(bootstrap: str, topics: Topics, events: Iterable[Event], at: int | None) -> int:
    """Write events to `forwards`, which ingest reads; return how many. Again they act once.

    They are dated `at` (UTC ms); with None they keep their own times.
    """
    count = await partition_count(bootstrap, topics.forwards)
    if not count:
        raise UsageError(f"the topic {topics.forwards} does not exist: run `parcours topics apply` first")
    sender, number, waiting = clients.producer(bootstrap), 0, list[Any]()
    await sender.start()
    try:
        for event in events:
            dated = event if at is None else msgspec.structs.replace(event, occurred_at=at, arrived_at=at)
            value = msgspec.json.encode(dated)
            place = partition_of(event.customer, count)
            waiting.append(await sender.send(topics.forwards, value, key=event.customer.encode(), partition=place))
            number += 1
            if len(waiting) >= HANDED_AT_ONCE:
                await asyncio.gather(*waiting)
                waiting = []
        await asyncio.gather(*waiting)
        return number
    finally:
        await sender.stop()


async def history_state(bootstrap: str, topics: Topics) -> IngestState:
    """Return where the ingest of history stands."""
    raw = (await read_plans(bootstrap, topics)).get(HISTORY)
    return msgspec.json.decode(raw, type=IngestState) if raw else IngestState()


def epoch_key(source: str, partition: int) -> bytes:
    """Return the key under which the compacted topic holds a source partition's epoch (none: 0)."""
    return f"epoch {source}/{partition}".encode()


def first_key(source: str, partition: int) -> bytes:
    """Return the key under which the compacted topic holds what a source partition's epoch began with."""
    return f"first {source}/{partition}".encode()


async def reset_source(bootstrap: str, topics: Topics, source: str, partition: int) -> int:
    """Begin a new epoch of a source partition, which its ingest then reads from its first record on; return it."""
    key = epoch_key(source, partition)
    epoch = int((await read_plans(bootstrap, topics)).get(key, b"0")) + 1
    await put(bootstrap, topics, [(key, str(epoch).encode())])
    return epoch


async def retire_source(bootstrap: str, topics: Topics, source: str, partition: int, at_ms: int) -> None:
    """Let a source partition that is gone hold no timer any more; `at_ms` (UTC) tells one order from the next."""
    name = digest("retire", source, str(partition), str(at_ms))
    change = SourceChanged(id=name, change="retire", source=source, partition=partition)
    await write_to_all(bootstrap, topics, [change], "control")
