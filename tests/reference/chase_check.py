"""What must hold of a shop with `chase` and `thanks`, read from the topics alone and from a naive reading of them.

A difference is of one of four kinds, whose required figure is 0: something is `lost` (a record, a command, its end),
`duplicated` (a command, an end, a call), `wrong` (a command that should not be, or not so), or a `state` differs.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from models.customer import Customer
from models.ids import partition_of
from pipeline.sending.stage import CALL_WITHIN_MS, HOLD_BEHIND_MS
from pipeline.store.codec import HOT, cold_key, decode_customer
from tests.reference.chase_fold import Person, Reading
from tests.reference.evidence import POISON, Evidence

KINDS = ("lost", "duplicated", "wrong", "state")
ENDS = ("sent", "rejected", "expired", "cancelled", "unknown")


@dataclass(frozen=True)
class Difference:
    """Something that is not as it must be."""

    kind: str
    text: str


def check(given: Evidence) -> list[Difference]:
    """Return all that is not as it must be; nothing where everything is."""
    missing = [number for number in range(given.partitions) if number not in given.progress]
    if missing:
        return [Difference("lost", f"partition {number} was never committed") for number in missing]
    return [one for part in (_sources, _readings, _senders, _reminded) for one in part(given)]


def _sources(given: Evidence) -> list[Difference]:
    """Every source record is in the journal, or is one dead letter at least; none is both."""
    events = {(one.position.source, one.position.partition, one.position.offset) for one in given.events}
    letters = set()
    for one in given.records(given.topics.dead_letters):
        ours = {name: value.decode() for name, value in one.headers if name.startswith("__parcours")}
        source, *place = (ours["__parcours.errors." + name] for name in ("source", "partition", "offset"))
        letters.add((source, int(place[0]), int(place[1])))
    found = []
    for name, topic in given.sources.items():
        for record in given.records(topic):
            place = (name, record.partition, record.offset)
            poison = record.value == POISON
            if poison != (place in letters) or poison == (place in events):
                kind = "wrong" if place in events or place in letters else "lost"
                text = f"{place} is lost or wrong: event {place in events}, dead letter {place in letters}"
                found.append(Difference(kind, text))
    return found


def _readings(given: Evidence) -> list[Difference]:
    """What went out, and where everybody stands, is what a naive reading of the journal gives."""
    found = []
    for number, progress in given.progress.items():
        reading = Reading(given.waits, given.versions)
        for appended, value in given.journal(number):
            reading.read(value, appended)
        found += [Difference("lost", text) for text in reading.broken]
        where = f"partition {number}"
        found += _compared(f"{where}: commands", _commands_of(given, number), reading.commands)
        found += _compared(f"{where}: cancels", _cancels_of(given, number), reading.cancels)
        for what, mine, theirs in (
            ("states", _states(given, number), {name: _person(one) for name, one in reading.people.items()}),
            ("watermark", progress.watermark, reading.watermark),
            ("plan", progress.plan, reading.plan),
            ("ledger", {name: getattr(progress.counts, name) for name in reading.counts}, reading.counts),
            ("commands counted", progress.counts.commands, len(reading.commands)),
        ):
            found += [Difference("state", f"{where}: {what}: {text}") for text in _unlike(mine, theirs)]
    return found


def _unlike(mine: Any, theirs: Any) -> list[str]:
    """Say where two differ: of mappings name by name."""
    if isinstance(mine, dict):
        names = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
        return [f"{name}: {mine.get(name)} is not {theirs.get(name)}" for name in names]
    return [] if mine == theirs else [f"{mine} is not {theirs}"]


def _compared(what: str, mine: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> list[Difference]:
    """Compare rows (id, customer, more): what is there, how often, what it says, in which order for each customer."""
    here, there = {one[0]: one for one in mine}, {one[0]: one for one in theirs}
    found = [Difference("lost", f"{what}: {there[name]} is missing") for name in there if name not in here]
    found += [Difference("wrong", f"{what}: {here[name]} should not be") for name in here if name not in there]
    counted = Counter(one[0] for one in mine)
    found += [Difference("duplicated", f"{what}: {here[name]} is there twice") for name in here if counted[name] > 1]
    both = [name for name in here if name in there]
    found += [
        Difference("wrong", f"{what}: {here[name]} is not {there[name]}") for name in both if here[name] != there[name]
    ]
    if not found:
        orders = [_by_customer(list(dict.fromkeys(one[:2] for one in rows))) for rows in (mine, theirs)]
        found += [Difference("wrong", f"{what}, their order: {text}") for text in _unlike(*orders)]
    return found


def _by_customer(rows: list[tuple[Any, ...]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, customer in rows:
        found.setdefault(customer, []).append(name)
    return found


def _commands_of(given: Evidence, number: int) -> list[tuple[Any, ...]]:
    return [
        (one["id"], one["customer"], one["scenario"], one["step"], one["version"], one["plan"], one["due_at"], one["emitted_at"], one["valid_until"])
        for one in given.rows_of(given.topics.delivery, number)
        if one["kind"] == "command"
    ]  # fmt: skip


def _cancels_of(given: Evidence, number: int) -> list[tuple[Any, ...]]:
    return [(one["command"], one["customer"], one["at"]) for one in given.rows_of(given.topics.cancels, number)]


def _states(given: Evidence, number: int) -> dict[str, Any]:
    """Return every customer as the changelog leaves them."""
    records = given.records(given.topics.changelog)
    last = {one.key: one.value for one in records if one.key and one.partition == number}
    states = {}
    for key, value in last.items():
        name = key[1:].decode()
        if key[:1] == HOT and value is not None:
            assert partition_of(name, given.partitions) == number
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


def _senders(given: Evidence) -> list[Difference]:
    """Every command has one end; nobody without a key is called twice; what is said was so."""
    found = []
    ends: dict[str, list[str]] = {}
    for one in given.receipts:
        if one["state"] in ENDS:
            ends.setdefault(one["command"], []).append(one["state"])
    accepted = Counter(name for name, _ in given.accepted)
    for name in dict.fromkeys(one["id"] for one in given.commands):
        end = ends.pop(name, [])
        if len(end) != 1:
            found.append(Difference("duplicated" if end else "lost", f"command {name} has the ends {end}"))
        elif end[0] == "sent" and not accepted[name]:
            found.append(Difference("wrong", f"command {name} is said to be sent, and was not"))
        elif end[0] not in {"sent", "unknown"} and accepted[name]:
            found.append(Difference("wrong", f"command {name} was sent, and is said to be {end[0]}"))
        if accepted[name] > 1 and not given.keyed:
            found.append(Difference("duplicated", f"command {name} was sent {accepted[name]} times"))
    return [*found, *(Difference("wrong", f"a receipt of {name}, which nobody gave") for name in ends)]


def _reminded(given: Evidence) -> list[Difference]:
    """Nobody is reminded whose win was in Kafka longer than the hold and the call take."""
    since = _wins(given)
    entered = {one.id: one.at for one in given.events}
    commands = {one["id"]: one for one in given.commands}
    found = []
    for name, called in given.accepted:
        command = commands.get(name)
        if command is None:
            found.append(Difference("wrong", f"{name} was sent before it was committed, or without ever being"))
        elif command["scenario"] == "chase":
            began = entered[command["reason"]["event_id"]]
            late = [
                at for stamp, at in since.get(command["customer"], ())
                if at >= began and stamp + HOLD_BEHIND_MS + CALL_WITHIN_MS + given.stamp_ms < called
            ]  # fmt: skip
            if late:
                text = f"{command['customer']} was reminded at {called}, {called - late[0]} ms after the win"
                found.append(Difference("wrong", text))
    return found


def _wins(given: Evidence) -> dict[str, list[tuple[int, int]]]:
    """Return (Kafka's time, the win's own) by customer; of a record that was written twice either copy may count."""
    copies: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for record in given.records(given.sources["wins"]):
        if record.value != POISON:
            said = json.loads(record.value or b"{}")
            key = (said["customer"], said["id"])
            copies.setdefault(key, []).append((record.timestamp, min(said["occurred_at"], record.timestamp)))
    found: dict[str, list[tuple[int, int]]] = {}
    for (customer, _), both in copies.items():
        found.setdefault(customer, []).append((max(stamp for stamp, _ in both), min(at for _, at in both)))
    return found
