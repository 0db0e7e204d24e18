"""What must hold at the end of a simulation, read from the topics alone, and from a naive reading of the journal."""

import json
from collections import Counter
from typing import Any

from aiokafka import TopicPartition

from models.customer import Customer
from models.ids import partition_of
from pipeline.journal.codec import decode
from pipeline.sending.stage import CALL_WITHIN_MS, HOLD_BEHIND_MS
from pipeline.store.codec import HOT, cold_key, decode_customer
from tests.reference.chase_fold import Person, Reading
from tests.sim.cluster import shop
from tests.sim.cluster.world import ENDS, TOPICS, World

# The mark counts by the newest arrival read, a producer's own time: up to this much before the broker has the record.
STAMP_MS = 700


def differences(world: World) -> list[str]:
    """Return all that is not as it must be, in words; none where everything is."""
    found = [f"a worker ended: {error!r}" for error in world.failed]
    if sorted(world.progress()) != list(range(shop.PARTITIONS)):
        return [*found, "not every partition was ever committed"]
    for check in (_sources, _readings, _commands, _senders, _reminded):
        found += check(world)
    return found


def _sources(world: World) -> list[str]:
    """Every source record is in the journal, or is one dead letter at least; none is both."""
    events = {(one.position.source, one.position.partition, one.position.offset) for one in world.journal_events()}
    letters = Counter[tuple[str, int, int]]()
    for one in world.broker.committed(TOPICS.dead_letters):
        ours = {name: value.decode() for name, value in one.headers if name.startswith("__parcours")}
        letters[
            ours["__parcours.errors.source"],
            int(ours["__parcours.errors.partition"]),
            int(ours["__parcours.errors.offset"]),
        ] += 1
    found = []
    for name in shop.SOURCES:
        for record in world.broker.committed(name):
            place = (name, record.partition, record.offset)
            poison = record.value == b"{broken"
            if poison != (place in letters) or poison == (place in events):
                found.append(f"{place} is lost or wrong: event {place in events}, dead letter {place in letters}")
    return found


def _readings(world: World) -> list[str]:
    """What went out, and where everybody stands, is what a naive reading of the journal gives."""
    waits = {world.plans[name]: both for name, both in shop.WAITS.items()}
    found = []
    given = _given(world)
    for number, progress in world.progress().items():
        reading = Reading(waits, world.versions)
        for appended, value in world.journal(number):
            reading.read(value, appended)
        found += reading.broken
        for what, mine, theirs in (
            ("commands", given[number]["commands"], _by_customer(reading.commands, 1)),
            ("cancels", given[number]["cancels"], _by_customer(reading.cancels, 1)),
            ("states", given[number]["states"], {name: _person(one) for name, one in reading.people.items()}),
            ("watermark", progress.watermark, reading.watermark),
            ("plan", progress.plan, reading.plan),
            ("ledger", {name: getattr(progress.counts, name) for name in reading.counts}, reading.counts),
            ("commands counted", progress.counts.commands, len(reading.commands)),
        ):
            if mine != theirs:
                found.append(f"partition {number}: {what}: {_first(mine, theirs)}")
    return found


def _first(mine: Any, theirs: Any) -> str:
    """Say where two first differ."""
    if isinstance(mine, dict):
        for name in sorted({*mine, *theirs}):
            if mine.get(name) != theirs.get(name):
                return f"{name}: {mine.get(name)} is not {theirs.get(name)}"
    return f"{mine} is not {theirs}"


def _by_customer(rows: list[tuple[Any, ...]], at: int) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[at], []).append(row)
    return found


def _given(world: World) -> list[dict[str, Any]]:
    """Return what the topics hold of each partition."""
    found = []
    for number in range(shop.PARTITIONS):
        commands = [
            (one["id"], one["customer"], one["scenario"], one["step"], one["version"], one["plan"], one["due_at"], one["emitted_at"], one["valid_until"])
            for one in _json(world, TOPICS.delivery, number)
            if one["kind"] == "command"
        ]  # fmt: skip
        cancels = [(one["command"], one["customer"], one["at"]) for one in _json(world, TOPICS.cancels, number)]
        found.append(
            {
                "commands": _by_customer(commands, 1),
                "cancels": _by_customer(cancels, 1),
                "states": _states(world, number),
            }
        )
    return found


def _json(world: World, topic: str, number: int) -> list[dict[str, Any]]:
    return [json.loads(one.value or b"{}") for one in world.broker.logs[TopicPartition(topic, number)].committed()]


def _states(world: World, number: int) -> dict[str, Any]:
    """Return every customer as the changelog leaves them."""
    last = {
        one.key: one.value for one in world.broker.logs[TopicPartition(TOPICS.changelog, number)].committed() if one.key
    }
    states = {}
    for key, value in last.items():
        name = key[1:].decode()
        if key[:1] == HOT and value is not None:
            assert partition_of(name, shop.PARTITIONS) == number
            states[name] = _customer(decode_customer(name, value, last.get(cold_key(name))))
    return states


def _customer(one: Customer) -> tuple[Any, ...]:
    stays = [
        (stay.scenario, stay.entry.event, stay.entry.at, stay.closing, stay.waiting.due if stay.waiting else None)
        for stay in one.enrolments
    ]
    wins = [(kept.at, kept.id) for kept in one.remembered if kept.type == "win"]
    return one.now, list(one.recent), wins, sorted(stays)


def _person(one: Person) -> tuple[Any, ...]:
    stays = [
        (stay.scenario, stay.entry, stay.at, stay.until is not None, stay.due if stay.until is None else stay.until)
        for stay in one.stays
    ]
    return one.now, one.recent, one.wins, sorted(stays)


def _commands(world: World) -> list[str]:
    counted = Counter(one["id"] for one in world.commands())
    return [f"command {name} was committed {count} times" for name, count in counted.items() if count > 1]


def _senders(world: World) -> list[str]:
    """Every command has one end; nobody without a key is called twice; what is said was so."""
    found = []
    ends: dict[str, list[str]] = {}
    for one in world.receipts():
        if one["state"] in ENDS:
            ends.setdefault(one["command"], []).append(one["state"])
    accepted = Counter(name for name, _ in world.provider.accepted)
    for command in world.commands():
        name = command["id"]
        end = ends.pop(name, [])
        if len(end) != 1:
            found.append(f"command {name} has the ends {end}")
        elif end[0] == "sent" and not accepted[name]:
            found.append(f"command {name} is said to be sent, and was not")
        elif end[0] not in {"sent", "unknown"} and accepted[name]:
            found.append(f"command {name} was sent, and is said to be {end[0]}")
        if accepted[name] > 1 and not world.provider.idempotent:
            found.append(f"command {name} was sent {accepted[name]} times")
    found += [f"a receipt of {name}, which nobody gave" for name in ends]
    return found


def _reminded(world: World) -> list[str]:
    """Nobody is reminded whose win was in Kafka longer than the hold and the call take."""
    since = _wins(world)
    entered = {
        entry.id: entry.at
        for record in world.broker.committed(TOPICS.journal)
        for entry in _events(record.value or b"")
    }
    commands = {one["id"]: one for one in world.commands()}
    found = []
    for name, called in world.provider.accepted:
        command = commands.get(name)
        if command is None:
            found.append(f"{name} was sent before it was committed, or without ever being")
        elif command["scenario"] == "chase":
            began = entered[command["reason"]["event_id"]]
            late = [
                at for stamp, at in since.get(command["customer"], ())
                if at >= began and stamp + HOLD_BEHIND_MS + CALL_WITHIN_MS + STAMP_MS < called
            ]  # fmt: skip
            if late:
                found.append(f"{command['customer']} was reminded at {called}, {called - late[0]} ms after the win")
    return found


def _wins(world: World) -> dict[str, list[tuple[int, int]]]:
    """Return (Kafka's time, the win's own) by customer; of a record that was written twice either copy may count."""
    copies: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for record in world.broker.committed("wins"):
        if record.value != b"{broken":
            said = json.loads(record.value or b"{}")
            key = (said["customer"], said["id"])
            copies.setdefault(key, []).append((record.timestamp, min(said["occurred_at"], record.timestamp)))
    found: dict[str, list[tuple[int, int]]] = {}
    for (customer, _), both in copies.items():
        found.setdefault(customer, []).append((max(stamp for stamp, _ in both), min(at for _, at in both)))
    return found


def _events(value: bytes) -> list[Any]:
    return [entry for entry in decode(value).entries if hasattr(entry, "position")]
