"""Reads a data folder beside the run that writes it: for the command line and the console."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from models.customer import NEVER, Customer
from models.dead_letter import DeadLetter
from models.event import Event
from models.journal import Bundle
from models.progress import Counts, Progress
from pipeline.engine.plan import Plan
from pipeline.journal.codec import decode
from pipeline.journal.records_clock import IngestState
from pipeline.runtime.collected import SUPPRESSIONS
from pipeline.runtime.folder import Folder
from pipeline.runtime.ledger import CommandCounts
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from pipeline.store.rocks import RocksState

TIMES = ("due_at", "emitted_at", "valid_until", "issued_at", "at")


def iso(moment: int | None) -> str | None:
    """Return a time (UTC ms) as ISO 8601."""
    if moment is None or moment >= NEVER:
        return None
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat().replace("+00:00", "Z")


def outside(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as people read it: times in ISO 8601."""
    return {name: iso(value) if name in TIMES else value for name, value in record.items()}


def command_view(record: dict[str, Any]) -> dict[str, Any]:
    """Return a command with every promised field."""
    found = outside(record)
    found.pop("kind", None)
    return {"data": {}, "language": "en", **found}


def dead_letter_view(raw: bytes) -> dict[str, Any]:
    """Return a dead letter; its value as text where it is text."""
    letter = msgspec.json.decode(raw, type=DeadLetter)
    value = None if letter.value is None else letter.value.decode(errors="replace")
    return {
        "stage": letter.stage,
        "reason": letter.reason,
        "path": letter.path,
        "source": letter.source,
        "partition": letter.partition,
        "offset": letter.offset,
        "at": iso(letter.at),
        "value": value,
    }


def customer_view(customer: Customer) -> dict[str, Any]:
    """Return a customer as people read them: profile, cart, attributes, enrolments, timers."""
    profile = msgspec.to_builtins(customer.profile)
    for name in profile:
        if name.endswith(("_at", "_seen")):
            profile[name] = iso(profile[name])
    profile = {"orders": 0, "spent": 0, "visits": 0, **profile}
    cold = customer.cold
    cart = msgspec.to_builtins(cold.cart)
    return {
        "id": customer.id,
        "now": iso(customer.now),
        "profile": profile,
        "cart": {"items": [], "total": 0, **cart, "changed_at": iso(cold.cart.changed_at)},
        "attributes": {name: kept.value for name, kept in sorted(cold.attributes.items())},
        "consents": [{**msgspec.to_builtins(one), "at": iso(one.at)} for one in cold.consents],
        "interests": {"categories": cold.categories, "brands": cold.brands, "products": cold.products},
        "enrolments": [_enrolment_view(one) for one in customer.enrolments],
        "timers": _timers(customer),
        **_identity_view(customer),
    }


def _identity_view(customer: Customer) -> dict[str, Any]:
    """Return whose alias a visitor is, or which visitors a customer was; nothing where there is nothing to say."""
    identity = customer.identity
    if identity is None:
        return {}
    if not identity.alias_of:
        return {"aliases": list(identity.aliases)}
    return {"alias_of": identity.alias_of, "linked_at": iso(identity.linked_at), "shared_at": iso(identity.shared_at)}


def _timers(customer: Customer) -> list[dict[str, Any]]:
    waiting = [one for one in customer.enrolments if one.waiting is not None and one.waiting.due < NEVER]
    waiting.sort(key=lambda one: (one.waiting.due if one.waiting else 0, one.scenario, one.id))
    return [
        {"due_at": iso(one.waiting.due if one.waiting else None), "scenario": one.scenario, "enrolment": one.id}
        for one in waiting
    ]


def _enrolment_view(one: Any) -> dict[str, Any]:
    return {
        "id": one.id,
        "scenario": one.scenario,
        "version": one.version,
        "entered_at": iso(one.entry.at),
        "entry": one.entry.event,
        "at_step": one.at_step,
        "waiting_until": iso(one.waiting.due) if one.waiting else None,
        "closing": one.closing,
        "sent": [{"step": sent.step, "command": sent.command, "settled": sent.settled} for sent in one.sent],
    }


class DataFolder:
    """Read-only access to an embedded run's streams and states, by path (as of now) or in its own process."""

    def __init__(self, place: Path | Folder):
        self._folder = Folder(place, read_only=True) if isinstance(place, Path) else place
        self._state = RocksState(self._folder.db)

    def close(self) -> None:
        """Let the folder go."""
        self._folder.close()

    def _stream(self, name: str, start: int = 0) -> Iterator[tuple[int, Any]]:
        for offset, raw in self._folder.scan(name, start):
            yield offset, msgspec.json.decode(raw)

    def commands(self) -> Iterator[dict[str, Any]]:
        """Yield every command, in the order of `delivery`."""
        for _, record in self._stream("delivery"):
            if record["kind"] == "command":
                yield command_view(record)

    def decisions(self) -> Iterator[dict[str, Any]]:
        """Yield every decision."""
        for _, record in self._stream("decisions"):
            yield outside(record)

    def suppressions(self) -> Iterator[dict[str, Any]]:
        """Yield every fact about a suppressed address, by its keyed hash."""
        return (outside(msgspec.json.decode(value)) for _, value in self._folder.values(SUPPRESSIONS))

    def vouchers(self) -> Iterator[dict[str, Any]]:
        """Yield every voucher that a message names."""
        for _, record in self._stream("vouchers"):
            yield outside(record)

    def receipts(self) -> Iterator[dict[str, Any]]:
        """Yield every receipt."""
        for _, record in self._stream("receipts"):
            yield outside(record)

    def dead_letters(self, last: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield every dead letter, or the last so many."""
        start = 0 if last is None else max(self.dead_letter_count() - last, 0)
        for offset, raw in self._folder.scan("dead-letters", start):
            yield {"number": offset, **dead_letter_view(raw)}

    def state(self, name: str) -> Customer | None:
        """Return a customer's state, None where nothing is known of them."""
        return self._state.get(name)

    def dead_letter_count(self) -> int:
        """Return how many dead letters there are."""
        return self._folder.end("dead-letters")

    def customer(self, name: str) -> dict[str, Any] | None:
        """Return a customer's page, None where nothing is known of them."""
        found = self.state(name)
        return None if found is None else customer_view(found)

    def customers(self) -> Iterator[dict[str, Any]]:
        """Yield every customer, in the order of their ids."""
        return map(customer_view, self.states())

    def states(self) -> Iterator[Customer]:
        """Yield the state of every customer, in the order of their ids."""
        cursor: str | None = None
        while names := self._state.customers_after(cursor, 500):
            for name in names:
                found = self._state.get(name)
                if found is not None:
                    yield found
            cursor = names[-1]

    def ledger(self, counted: CommandCounts | None = None) -> dict[str, Any]:
        """Return what went in and what became of it; who asks again and again keeps what was counted."""
        commands = counted or CommandCounts()
        commands.look(self._folder)
        raw = self._folder.get("ingest")
        state = msgspec.json.decode(raw, type=IngestState) if raw else IngestState()
        progress = self._state.progress()
        counts = progress.counts if progress else Counts()
        return {
            "records": state.records,
            "events": {
                "in": state.events + state.fed_back + state.dead,
                "applied": counts.applied,
                "duplicate": counts.duplicate,
                "dead_lettered": counts.dead + state.dead,
                "silent": counts.silent,
            },
            "commands": {
                "in": commands.emitted,
                **commands.ends,
                "pending": commands.emitted - sum(commands.ends.values()),
            },
            "watermark": iso(progress.watermark) if progress else None,
        }

    def plan(self) -> Plan | None:
        """Return the live plan."""
        sources = self.plan_sources(self.live_name())
        return compile_plan(sources) if sources else None

    def live_name(self) -> str:
        """Return the hash of the plan that was activated last, "" before any."""
        return (self._folder.get("plan") or b"").decode()

    def plan_sources(self, name: str) -> PlanSources | None:
        """Return a plan's sources by hash."""
        raw = self._folder.get(f"plan/{name}") if name else None
        return PlanSources.decode(raw) if raw else None

    def standing(self) -> Progress | None:
        """Return the progress record, None before any commit."""
        return self._state.progress()

    def watermark(self) -> int:
        """Return the watermark (UTC ms)."""
        progress = self._state.progress()
        return progress.watermark if progress else 0

    def timeline(self, customer: str, limit: int = 200) -> list[dict[str, Any]]:
        """Return what happened to one customer, newest first: events, decisions and receipts."""
        found: list[dict[str, Any]] = []
        written = msgspec.json.encode(customer)  # as it stands in a bundle: most need no decoding
        for _, raw in self._folder.scan("journal"):
            if written in raw:
                found += _events_of(decode(raw), customer)
        for name, kind in (("decisions", "decision"), ("receipts", "message")):
            for _, record in self._stream(name):
                if record["customer"] == customer:
                    found.append({"kind": kind, **record})
        found.sort(key=lambda one: one["at"], reverse=True)
        return [{**one, "at": iso(one["at"])} for one in found[:limit]]


def _events_of(bundle: Bundle, customer: str) -> list[dict[str, Any]]:
    events = [one for one in bundle.entries if isinstance(one, Event) and one.customer == customer]
    return [{"kind": "event", "type": one.type, "at": one.at, "id": one.id, "data": one.data} for one in events]
