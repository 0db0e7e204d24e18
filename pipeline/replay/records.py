"""All that the log holds of one customer: what was read of them, what was decided, and what became of it.

Nothing is replayed: the streams are searched for the customer's id, and only what names it is decoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from models.command import Cancel, Command, DeliveryRecord
from models.customer import Cold, Customer, Place
from models.decision import Decision
from models.event import Event
from models.ids import derived_event_id, partition_of
from models.journal import PlanActivated, ScenarioSwitched
from models.receipt import FINAL, Receipt
from pipeline.engine import person
from pipeline.engine.plan import Plan, Scenario
from pipeline.engine.settling import GIVES_BACK
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import RecordedLog, decoded
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import cold_key, decode_customer, hot_key

CART_CHANGED = "cart_changed"
CONTROLS = (b'"kind":"plan"', b'"kind":"switch"')


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of the customer, at its place in the journal; `repeats` is the offset at which it stood before."""

    event: Event
    offset: int
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of the customer at a moment: attributes, consents, places under the caps.

    `exact` says that it is the state itself; else it was put together from what had arrived by then.
    """

    now: int
    cold: Cold
    places: tuple[Place, ...]
    exact: bool


@dataclass
class Records:
    """One customer's part of a log; `begins` (UTC ms) is since when the journal is kept, None where it is empty."""

    customer: str
    partition: int
    begins: int | None = None
    ends: int | None = None
    whole: bool = True
    events: list[Seen] = field(default_factory=list)
    plans: list[PlanActivated] = field(default_factory=list)
    switches: list[ScenarioSwitched] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    state: Customer | None = None  # as it is now
    _by_id: dict[str, Seen] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Say whether the log holds nothing of the customer."""
        return not (self.events or self.decisions or self.commands)

    def event(self, name: str) -> Seen | None:
        """Return an event by its id, or by that of the cart change that it led to; None where it is gone."""
        if len(self._by_id) < len(self.events):
            for one in reversed(self.events):
                self._by_id[derived_event_id(one.event.id, CART_CHANGED)] = one
                self._by_id[one.event.id] = one
        return self._by_id.get(name)

    def receipts_of(self, command: str) -> list[Receipt]:
        """Return what the senders did with a command, in order."""
        return [one for one in self.receipts if one.command == command]


class Kept(Protocol):
    """Where plans are kept."""

    def plan(self, name: str) -> PlanSources | None:
        """Return a plan's sources by hash, None where it is not kept."""


class Shelf:
    """The plans of a log, compiled where one is asked for."""

    def __init__(self, log: Kept):
        self._log = log
        self._compiled: dict[str, Plan | None] = {}

    def plan(self, name: str) -> Plan | None:
        """Return a plan by hash, None where it is not kept."""
        if name not in self._compiled:
            sources = self._log.plan(name)
            self._compiled[name] = None if sources is None else compile_plan(sources)
        return self._compiled[name]

    def live_at(self, records: Records, at: int) -> Plan | None:
        """Return the plan that was live at a log time (UTC ms)."""
        live = [one for one in records.plans if one.at <= at] or records.plans[:1]
        return self.plan(live[-1].plan) if live else None

    def scenario(self, records: Records, name: str, version: str) -> Scenario | None:
        """Return a version of a scenario from whichever plan has it."""
        for one in reversed(records.plans):
            plan = self.plan(one.plan)
            found = plan.versions.get((name, version)) if plan is not None else None
            if found is not None:
                return found
        return None


def records_of(log: RecordedLog, customer: str) -> Records:
    """Read a customer's part of a log; LogError where a message of it cannot be read."""
    partition = partition_of(customer, log.partitions)
    if log.begin("journal", partition) is None:
        raise LogError(f"the journal's partition {partition}, in which {customer!r} would stand, is missing or empty")
    found = Records(customer, partition)
    found.whole = log.begin("journal", partition) == 0
    _journal(log, found)
    found.decisions = list(_named(log, "decisions", found, Decision))
    found.commands = list(_named(log, "delivery", found, DeliveryRecord))
    found.cancels = list(_named(log, "cancels", found, Cancel))
    found.receipts = list(_named(log, "receipts", found, Receipt))
    hot = log.state(hot_key(customer))
    found.state = None if hot is None else decode_customer(customer, hot, log.state(cold_key(customer)))
    return found


def _journal(log: RecordedLog, found: Records) -> None:
    written = msgspec.json.encode(found.customer)
    first: dict[str, int] = {}
    for raw in log.raw(found.partition, log.first(found.partition)):
        if written not in raw.value and not any(kind in raw.value for kind in CONTROLS):
            continue
        for entry in decoded(raw, found.partition).bundle.entries:
            if isinstance(entry, Event) and entry.customer == found.customer:
                found.events.append(Seen(entry, raw.offset, first.get(entry.id)))
                first.setdefault(entry.id, raw.offset)
            elif isinstance(entry, PlanActivated):
                found.plans.append(entry)
            elif isinstance(entry, ScenarioSwitched):
                found.switches.append(entry)
    span = log.span()
    if span is not None:
        found.begins, found.ends = span


def _named(log: RecordedLog, stream: str, found: Records, kind: Any) -> Iterator[Any]:
    written, decoder = msgspec.json.encode(found.customer), msgspec.json.Decoder(kind)
    for raw in log.records(stream, found.partition):
        if written in raw:
            one = decoder.decode(raw)
            if getattr(one, "customer", None) == found.customer:
                yield one


def known_at(records: Records, at: int) -> Known:
    """Return what was known at a log time (UTC ms), as far as the records tell: of what had arrived by then."""
    cold = Cold()
    for seen in records.events:
        if seen.event.arrived_at <= at and seen.repeats is None:
            cold = person.update(cold, seen.event)
    return Known(at, cold, _places(records, at), False)


def known_of(customer: Customer) -> Known:
    """Return what was known of a customer in a state."""
    return Known(customer.now, customer.cold, customer.places, True)


def _places(records: Records, at: int) -> tuple[Place, ...]:
    found = []
    for command in records.commands:
        if command.emitted_at > at:
            continue
        since = command.emitted_at
        ends = [one for one in records.receipts_of(command.id) if one.state in FINAL and one.at <= at]
        if ends and ends[-1].state in GIVES_BACK:
            continue
        if ends and ends[-1].state == "sent":
            since = ends[-1].at
        found.append(
            Place(
                command=command.id,
                scenario=command.scenario,
                step=command.step,
                channel=command.channel,
                purpose=command.purpose,
                at=since,
            )
        )
    return tuple(found)
