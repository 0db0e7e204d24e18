"""Our topics: what they should be, made, and compared with what they are."""

import asyncio
import time
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from agents.kafka import clients
from models.topics import Topics
from pipeline.errors import RunError

DAY_MS = 24 * 3_600_000
# Three copies of everything, as far as there are brokers.
COPIES = 3
# How long a deletion stays readable in a compacted topic: a store that is older may hold what was deleted.
DELETE_RETENTION_MS = 7 * DAY_MS
VISIBLE_S, VISIBLE_POLL_S = 15.0, 0.1
BYTES_MAX = str(2 * 1024 * 1024)


@dataclass(frozen=True)
class Wanted:
    """One topic as it should be."""

    name: str
    partitions: int
    configs: dict[str, str] = field(default_factory=dict)


def wanted(topics: Topics, partitions: int, journal_days: int = 30) -> list[Wanted]:
    """Return all our topics. Those keyed by customer have the journal's partition count: one hash places them all."""
    kept = {"retention.ms": str(journal_days * DAY_MS), "max.message.bytes": BYTES_MAX}
    compacted = {
        "cleanup.policy": "compact",
        "max.message.bytes": BYTES_MAX,
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": str(DELETE_RETENTION_MS),
    }
    return [
        Wanted(topics.journal, partitions, {**kept, "message.timestamp.type": "LogAppendTime"}),
        Wanted(topics.changelog, partitions, compacted),
        Wanted(topics.delivery, partitions, kept),
        Wanted(topics.decisions, partitions, kept),
        Wanted(topics.cancels, partitions, kept),
        Wanted(topics.receipts, partitions, kept),
        Wanted(topics.forwards, partitions, kept),
        Wanted(topics.collected, partitions, kept),
        Wanted(topics.vouchers, partitions, kept),
        # Compacted for those who follow it, and deleted in time for those whose messages it holds.
        Wanted(topics.inbox, partitions, {**kept, **compacted, "cleanup.policy": "compact,delete"}),
        # Small segments: a sender that opens a partition reads the uncompacted tail.
        Wanted(topics.sender_progress, partitions, {**compacted, "segment.bytes": str(8 * 1024 * 1024)}),
        Wanted(topics.dead_letters, 1, kept),
        Wanted(topics.plans, 1, compacted),
        Wanted(topics.products, 1, compacted),
        Wanted(topics.suppressions, 1, compacted),
    ]


async def compare(bootstrap: str, plan: list[Wanted]) -> dict[str, str]:
    """Return what is wrong, by topic: missing, a wrong partition count, a wrong setting."""
    admin = clients.admin(bootstrap)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        found = {one.name: "missing" for one in plan if one.name not in there}
        present = [one for one in plan if one.name in there]
        described = await admin.describe_topics([one.name for one in present]) if present else []
        counts = {one["topic"]: len(one["partitions"]) for one in described}
        for one in present:
            if counts[one.name] != one.partitions:
                found[one.name] = f"has {counts[one.name]} partitions, {one.partitions} are wanted"
                continue
            wrong = await _wrong_setting(admin, one)
            if wrong:
                found[one.name] = wrong
        return found
    finally:
        await admin.close()


async def _wrong_setting(admin: AIOKafkaAdminClient, one: Wanted) -> str | None:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, one.name)])
    said = {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
    for name, value in one.configs.items():
        if said.get(name) != value:
            return f"has {name}={said.get(name)}, {value} is wanted"
    return None


async def apply(bootstrap: str, plan: list[Wanted]) -> list[str]:
    """Make the topics that are missing and return their names; RunError where one has another partition count."""
    wrong = await compare(bootstrap, plan)
    fixed = [f"{name} {said}" for name, said in wrong.items() if "partitions" in said]
    if fixed:
        raise RunError(
            f"{fixed[0]}: a customer's place depends on the count, so it cannot change; use another --prefix and replay"
        )
    missing = [one for one in plan if wrong.get(one.name) == "missing"]
    await create(bootstrap, missing)
    return [one.name for one in missing]


async def create(bootstrap: str, topics: list[Wanted]) -> None:
    """Make topics; those that exist already are left as they are."""
    if not topics:
        return
    admin = clients.admin(bootstrap)
    await admin.start()
    try:
        copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
        answer = await admin.create_topics(
            [NewTopic(one.name, one.partitions, copies, topic_configs=one.configs) for one in topics]
        )
        for name, code, *rest in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise RunError(f"topic {name} cannot be made: {error.__name__} {rest}")
        await _await_visible(admin, {one.name for one in topics})
    finally:
        await admin.close()


async def retention_ms(bootstrap: str, topics: list[str]) -> dict[str, int]:
    """Return how long each topic keeps its records, -1 for ever."""
    admin = clients.admin(bootstrap)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics if name in there]
        answers = await admin.describe_configs(asked)
        rows = [resource for answer in answers for resource in answer.resources]
        return {one[3]: int(next(row[1] for row in one[4] if row[0] == "retention.ms")) for one in rows}
    finally:
        await admin.close()


async def _await_visible(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until the brokers tell of new topics: the controller makes them before every broker knows."""
    deadline = time.monotonic() + VISIBLE_S
    while names - set(await admin.list_topics()):
        if time.monotonic() > deadline:
            raise RunError(f"new topics did not show within {VISIBLE_S:.0f} s")
        await asyncio.sleep(VISIBLE_POLL_S)
