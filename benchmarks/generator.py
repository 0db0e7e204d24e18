"""The load generator, a process of its own: the seeded load onto the source topics, at a rate or as fast as it goes.

The records are made before the clock starts; each gets its time as it is written, and goes out in batches by partition,
so that the generator takes as little as possible of the cores that it shares with what is measured. The loop is open:
a record that is late because the machine is busy keeps the time at which it was due, so its wait counts.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from agents.kafka import clients
from benchmarks.load import Record, first_views, records
from models.ids import partition_of

STEP_S = 0.01
PREFIX = "bench-"
SPLIT = b'"occurred_at":'
DIGITS = 13


@dataclass(frozen=True)
class Prepared:
    """One record cut at its time."""

    place: tuple[str, int]
    key: bytes
    head: bytes
    tail: bytes


def prepare(load: list[Record], partitions: int) -> list[Prepared]:
    """Return the records ready to be written."""
    found = []
    for one in load:
        head, tail = one.value.split(SPLIT, 1)
        place = (PREFIX + one.topic, partition_of(one.key.decode(), partitions))
        found.append(Prepared(place, one.key, head + SPLIT, tail[DIGITS:]))
    return found


async def _write(producer: AIOKafkaProducer, chunk: list[Prepared], at: int) -> None:
    stamp = str(at).encode()
    builders: dict[tuple[str, int], object] = {}
    for one in chunk:
        value = one.head + stamp + one.tail
        builder = builders.get(one.place)
        if builder is None:
            builder = builders[one.place] = producer.create_batch()
        if builder.append(key=one.key, value=value, timestamp=at) is None:  # type: ignore[attr-defined]
            await producer.send_batch(builder, one.place[0], partition=one.place[1])
            builder = builders[one.place] = producer.create_batch()
            builder.append(key=one.key, value=value, timestamp=at)  # type: ignore[attr-defined]
    for place, builder in builders.items():
        await producer.send_batch(builder, place[0], partition=place[1])


async def run(bootstrap: str, load: list[Prepared], per_second: int | None) -> None:
    """Write the load."""
    producer = clients.producer(bootstrap)
    await producer.start()
    began = time.time()
    written = 0
    while written < len(load):
        if per_second is None:
            upto, at = written + 5_000, time.time()
        else:
            await asyncio.sleep(STEP_S)
            at = time.time()
            upto = int((at - began) * per_second)
        await _write(producer, load[written:upto], round(at * 1000))
        written = min(upto, len(load))
    await producer.stop()


def main() -> None:
    """Write a load as the words say."""
    words = argparse.ArgumentParser()
    words.add_argument("--bootstrap", required=True)
    words.add_argument("--partitions", type=int, required=True)
    words.add_argument("--events", type=int, required=True)
    words.add_argument("--customers", type=int, required=True)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--rate", type=int)
    words.add_argument("--one-each", action="store_true", help="a view of every customer in turn, in place of the mix")
    said = words.parse_args()
    now = time.time_ns() // 1_000_000
    mix = records(said.events, said.customers, said.seed, now, 1_000_000)
    load = first_views(said.customers, now) if said.one_each else mix
    asyncio.run(run(said.bootstrap, prepare(list(load), said.partitions), said.rate))


if __name__ == "__main__":
    main()
