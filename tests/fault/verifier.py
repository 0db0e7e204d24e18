"""The verifier: waits until the topics say that all is over, reads them whole, and says what is not as it must be.

It reads topics only: the provider's calls are in one too. Its result is JSON on stdout.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.kafka import clients
from agents.kafka.tables import partition_count
from pipeline.scenario.compile import compile_plan
from tests.fault.deployment import CALLS, PARTITIONS, Deployment
from tests.reference.chase_check import ENDS, KINDS, check
from tests.reference.evidence import POISON, Evidence
from tests.sim.cluster import shop

# After the last record: two chases one after the other are over.
PASSED_MS = 22_000
CALM_S = 2.0
POLL_S = 0.5
# How long a fault may show in the marks: what comes later has another cause.
SHOWS_MS = 90_000
FLOWS_MS = 1_500
SAID = 8


class Held:
    """What topics hold, read on as they grow."""

    def __init__(self, bootstrap: str, isolation: str = "read_committed"):
        self.bootstrap = bootstrap
        self.reader: AIOKafkaConsumer = clients.consumer(bootstrap, isolation_level=isolation)
        self.records: dict[TopicPartition, list[Any]] = {}

    async def start(self, topics: list[str]) -> None:
        """Begin at the topics' beginnings."""
        await self.reader.start()
        counts = {topic: await partition_count(self.bootstrap, topic) for topic in topics}
        places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        self.reader.assign(places)
        for place, offset in (await self.reader.beginning_offsets(places)).items():
            self.reader.seek(place, offset)
        self.records = {place: [] for place in places}

    async def refresh(self) -> None:
        """Read up to the ends as they are now."""
        ends = await self.reader.end_offsets(list(self.records))
        left = dict(ends)
        while left:
            for place, records in (await self.reader.getmany(timeout_ms=100, max_records=10_000)).items():
                self.records[place] += records
            for place in list(left):
                if await self.reader.position(place) >= ends[place]:
                    del left[place]

    def of(self, topic: str) -> list[Any]:
        """Return a topic's records, partition by partition."""
        return [one for place in sorted(self.records) if place.topic == topic for one in self.records[place]]


def evidence(deployment: Deployment, held: Held) -> Evidence:
    """Return what the topics hold."""
    plans = {name: deployment.plan(name) for name in shop.WAITS}
    versions = {(one.hash, part.name): part.version for one in plans.values() for part in compile_plan(one).scenarios}
    calls = [json.loads(one.value) for one in held.of(deployment.prefix + CALLS)]
    return Evidence(
        topics=deployment.topics,
        partitions=PARTITIONS,
        sources=deployment.sources,
        records=held.of,
        waits={plans[name].hash: both for name, both in shop.WAITS.items()},
        versions=versions,
        accepted=[(name, at) for name, at in calls],
        keyed=deployment.keyed,
        stamp_ms=0,  # the sources' topics carry the broker's own time
    )


def is_over(given: Evidence) -> bool:
    """Say whether everything is read, due, ended, and what the senders said has come back and was applied."""
    newest = max((one.timestamp for topic in given.sources.values() for one in given.records(topic)), default=0)
    if len(given.progress) < given.partitions:
        return False
    if any(one.watermark <= newest + PASSED_MS for one in given.progress.values()):
        return False
    ended = {one["command"] for one in given.receipts if one["state"] in ENDS}
    if any(one["id"] not in ended for one in given.commands):
        return False
    said = {(one.partition, one.offset) for one in given.records(given.topics.receipts) if _is_end(one)}
    return said <= _fed_back(given)


def _is_end(record: Any) -> bool:
    return json.loads(record.value)["state"] in ENDS


def _fed_back(given: Evidence) -> set[tuple[int, int]]:
    """Return the receipts that partitions have read again."""
    rows = [row for number in given.progress for row in given.journal(number)]
    found = set()
    for _, value in rows:
        for entry in json.loads(value)["entries"]:
            if entry["kind"] == "event" and entry["position"][0] == "receipts":
                found.add((entry["position"][1], entry["position"][3]))
    return found


async def settled(deployment: Deployment, held: Held, wait_s: float) -> bool:
    """Wait until all is over for a while, or as long as that may take."""
    deadline, calm = time.monotonic() + wait_s, 0.0
    while time.monotonic() < deadline:
        await held.refresh()
        began = time.monotonic()
        if not is_over(evidence(deployment, held)):
            calm = 0.0
        elif calm and began - calm > CALM_S:
            return True
        else:
            calm = calm or began
        await asyncio.sleep(max(POLL_S, 2 * (time.monotonic() - began)))
    return False


# -- what the faults did


def pauses_ms(given: Evidence, at: int) -> int:
    """Return the longest time in which a partition committed nothing, of those that a fault at a time lies in or before."""
    worst = 0
    for number in range(given.partitions):
        stamps = [one.timestamp for one in given.records(given.topics.delivery) if one.partition == number]
        near = [one for one in stamps if at - 2_000 <= one <= at + SHOWS_MS]
        worst = max([worst, *(later - earlier for earlier, later in pairwise(near) if later > at)])
    return worst


def recovery_ms(given: Evidence, healed: int) -> int:
    """Return how long after a fault was over every partition had committed again."""
    firsts = []
    for number in range(given.partitions):
        stamps = [one.timestamp for one in given.records(given.topics.delivery) if one.partition == number]
        firsts.append(min((one - healed for one in stamps if one >= healed), default=SHOWS_MS))
    return max(firsts)


def judged(given: Evidence, injections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the injections with their figures; one at which nothing came in shows nothing."""
    stamps = sorted(one.timestamp for topic in given.sources.values() for one in given.records(topic))
    for one in injections:
        at = one["at"]
        before = any(at - FLOWS_MS <= stamp <= at for stamp in stamps)
        after = any(at <= stamp <= at + FLOWS_MS for stamp in stamps)
        if not one["void"] and not (before and (after or not one["flowing"])):
            one["void"] = "no records were coming in"
        one["pause_ms"] = pauses_ms(given, at)
        one["recovery_ms"] = recovery_ms(given, one["healed_at"] or at)
    return injections


async def aborted(deployment: Deployment, kept: Held) -> int:
    """Return how many records of `delivery` were written and never committed."""
    everything = Held(deployment.bootstrap, "read_uncommitted")
    await everything.start([deployment.topics.delivery])
    await everything.refresh()
    await everything.reader.stop()
    return len(everything.of(deployment.topics.delivery)) - len(kept.of(deployment.topics.delivery))


async def verify(deployment: Deployment, wait_s: float) -> dict[str, Any]:
    """Return the result of a row."""
    topics = deployment.topics
    names = [topics.journal, topics.changelog, topics.delivery, topics.cancels, topics.receipts, topics.dead_letters]
    held = Held(deployment.bootstrap)
    await held.start([*names, *deployment.sources.values(), deployment.prefix + CALLS])
    over = await settled(deployment, held, wait_s)
    async with httpx.AsyncClient(timeout=60) as http:
        await http.post(
            f"{deployment.control}/flush",
            json={"bootstrap": deployment.bootstrap, "topic": deployment.prefix + CALLS},
        )
    await held.refresh()
    given = evidence(deployment, held)
    found = check(given)
    said = [json.loads(line) for line in (deployment.path / "injections.jsonl").read_text().splitlines()]
    counted = Counter(one.kind for one in found)
    result = {
        "settled": over,
        **{kind: counted[kind] for kind in KINDS},
        "differences": [f"{one.kind}: {one.text}"[:600] for one in found[:SAID]],
        "injections": judged(given, said),
        "records": sum(len(given.records(topic)) for topic in given.sources.values()),
        "poison": sum(one.value == POISON for topic in given.sources.values() for one in given.records(topic)),
        "commands": len(given.commands),
        "ends": dict(Counter(one["state"] for one in given.receipts if one["state"] in ENDS)),
        "calls": len(given.accepted),
        "duplicates": sum(one.counts.duplicate for one in given.progress.values()),
        "aborted": await aborted(deployment, held),
    }
    await held.reader.stop()
    return result


def main() -> None:
    """Verify a row's deployment."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--wait", type=float, required=True)
    said = words.parse_args()
    print(json.dumps(asyncio.run(verify(Deployment.load(said.folder), said.wait))))


if __name__ == "__main__":
    main()
