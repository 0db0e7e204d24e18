"""The dead letters of a cluster, and their replay: the source record is read again, and its events go to `forwards`.

A record that its topic no longer holds, or whose topic was made anew since, is taken from its dead letter, which keeps
the first 512 KiB of it.
"""

from collections.abc import AsyncIterator, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from agents.ingest.dead_letters import stored_letter
from agents.ingest.sources import Source, open_sources, read_sources_file
from agents.kafka import clients
from agents.kafka.control import hand_on, live_sources
from agents.kafka.tables import read_to_end, whole_topic
from models.dead_letter import DeadLetter
from models.topics import Topics
from pipeline.intake.again import ENGINE, read_again
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.runtime.letters import Replayed
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources


async def whole_letters(bootstrap: str, topics: Topics) -> AsyncIterator[DeadLetter]:
    """Yield every dead letter that the topic holds."""
    async for record in whole_topic(bootstrap, [topics.dead_letters]):
        yield stored_letter(record)


async def letters_at(bootstrap: str, topics: Topics, places: Iterable[tuple[int, int]]) -> list[DeadLetter]:
    """Return the dead letters at (partition, offset) of their own topic, those that it still holds."""
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        found = []
        for partition, offset in places:
            record = await _record_at(reader, TopicPartition(topics.dead_letters, partition), offset)
            if record is not None:
                found.append(stored_letter(record))
        return found
    finally:
        await reader.stop()


async def replay_on_cluster(
    bootstrap: str, topics: Topics, letters: Iterable[DeadLetter], sources: Path | None, mapping: str = ""
) -> Replayed:
    """Read letters again, by the mappings of a list of sources or by one for all, and hand their events on."""
    live = await live_sources(bootstrap, topics)
    settings = read_settings(live or PlanSources({}))
    validator = validator_for(settings.store.currency, settings.events)
    known = {one.name: one for one in open_sources(read_sources_file(sources), validator)} if sources else {}
    done = Replayed()
    for name, found in groupby(sorted(letters, key=lambda one: one.source), key=lambda one: one.source):
        source = known.get(name)
        mapper = Mapper(load_mapping(mapping), name, validator) if mapping else source.mapper() if source else None
        events, still = read_again(await _whole(bootstrap, source, list(found)), mapper)
        done.still += still
        done.events += await hand_on(bootstrap, topics, events, None)
    return done


async def _whole(bootstrap: str, source: Source | None, letters: list[DeadLetter]) -> list[DeadLetter]:
    """Put the records of the source's topic into the letters, where it still holds them."""
    if source is None:
        return letters
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        return [await _from_source(reader, source.topic, one) for one in letters]
    finally:
        await reader.stop()


async def _from_source(reader: AIOKafkaConsumer, topic: str, one: DeadLetter) -> DeadLetter:
    if one.stage == ENGINE:
        return one  # its event was whole: the record may give others beside it
    record = await _record_at(reader, TopicPartition(topic, one.partition), one.offset)
    kept = one.value or b""
    if record is None or record.value is None or not record.value.startswith(kept) or record.key != one.key:
        return one
    return replace(one, value=record.value, headers=list(record.headers), at=record.timestamp)


async def _record_at(reader: AIOKafkaConsumer, place: TopicPartition, offset: int) -> Any | None:
    """Return the record at an offset, None where the topic does not hold it."""
    try:
        begins = (await reader.beginning_offsets([place]))[place]
        ends = (await reader.end_offsets([place]))[place]
        if not begins <= offset < ends:
            return None
        async for record in read_to_end(reader, {place: offset}):
            return record if record.offset == offset else None
    except (KafkaError, KeyError):
        return None
    return None
