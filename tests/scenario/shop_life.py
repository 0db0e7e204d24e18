"""Generated lives under the shipped plan: what a customer may do in a store, and a naive sender that answers."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from models.command import Command
from models.event import Event, Position
from models.ids import chance, digest
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from pipeline.intake.native import Validator
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources, read_sources
from tests.engine.build import DAY, HOUR, MINUTE, Life

SHIPPED = Path(__file__).parents[2] / "scenarios"
SPAN_MINUTES = 12 * 24 * 60
# What a customer of the shipped plan may do; the weights are those of a lively fortnight.
KINDS = (
    *("cart",) * 6, "added", "removed", "empty", *("order",) * 3, "shipped", "delivered", "cancelled", "returned",
    "view", *("product",) * 3, "search", "signup", "due", "paid", "review", "complaint", "yes", "no", "opened", "clicked",
)  # fmt: skip
Row = tuple[int, str, int, int]  # minute, kind, a number to choose by, minutes by which the log has it late
validator = Validator("EUR")


@lru_cache(maxsize=8)
def shipped(consent: str = "none", more: str = "") -> Plan:
    """Return the plan of the repository's own scenarios, with lines more in its settings."""
    sources = read_sources(SHIPPED, {"consent_default": consent})
    return compile_plan(PlanSources({**sources.files, "settings.yaml": sources.files["settings.yaml"] + more}))


def rows(kinds: tuple[str, ...] = KINDS, size: int = 24, late: bool = True) -> st.SearchStrategy[list[Row]]:
    """Return one customer's rows, in no order."""
    lateness = st.sampled_from((0, 0, 0, 0, 3, 40)) if late else st.just(0)
    return st.lists(
        st.tuples(st.integers(0, SPAN_MINUTES), st.sampled_from(kinds), st.integers(0, 5), lateness), max_size=size
    )


def _said(kind: str, at: int, which: int) -> tuple[str, dict[str, Any]]:
    items = [
        {"product_id": f"p{which + n}", "price": 20 + n, "quantity": 1, "category": f"k{which % 3}"}
        for n in range(which + 1)
    ]
    order, payment = {"order_id": f"o{which}"}, {"payment_id": f"pay{which}"}
    due = at + which * DAY
    return {
        "cart": ("cart_updated", {"items": items}),
        "empty": ("cart_updated", {"items": []}),
        "added": ("cart_item_added", items[0]),
        "removed": ("cart_item_removed", {"product_id": f"p{which}"}),
        "order": ("order_placed", {"items": items, **order}),
        "shipped": ("order_shipped", {**order, "carrier": "post", "expected_at": at + 2 * DAY}),
        "delivered": ("order_delivered", order),
        "cancelled": ("order_cancelled", order),
        "returned": ("order_returned", order),
        "view": ("page_viewed", {"page_type": "home"}),
        "product": ("product_viewed", {"product_id": f"p{which}", "price": 20, "category": f"k{which % 3}"}),
        "search": ("search_performed", {"query": "cream"}),
        "signup": ("customer_signed_up", {"email": "a@customers.example"}),
        "due": ("payment_due", {**payment, "amount": 10, "due_on": due}),
        "paid": ("payment_received", {**payment, "amount": 10}),
        "review": ("review_posted", {"rating": which % 5 + 1, **order}),
        "complaint": ("contact_made", {"kind": "complaint", "medium": "chat"}),
        "yes": ("consent_changed", {"given": True}),
        "no": ("consent_changed", {"given": False}),
        "opened": ("message_opened", {"channel": "email"}),
        "clicked": ("message_clicked", {"channel": "email"}),
    }[kind]


def made(kind: str, at: int, which: int, arrived: int, salt: str, customer: str = "c1") -> Event:
    """Return a native event, read as the intake reads a record."""
    name, fields = _said(kind, at, which)
    record = {"type": name, "customer": customer, "occurred_at": at, **fields}
    kind, _, _, _, data = validator.decode(json.dumps(record).encode())
    return Event(
        id=digest("life", customer, kind, str(at), salt), type=kind, customer=customer,
        occurred_at=at, arrived_at=arrived, position=Position("shop", 0, 0, 0), data=data,
    )  # fmt: skip


def events_of(some: list[Row], begin: int, customer: str = "c1", **person: Any) -> list[Event]:
    """Return a customer's events in the order of the log: who they are comes first."""
    record = {
        "type": "customer_updated",
        "customer": customer,
        "occurred_at": begin - 1,
        "email": "a@customers.example",
    }
    kind, _, _, _, data = validator.decode(json.dumps({**record, **person}).encode())
    first = Event(
        id=digest("life", customer), type=kind, customer=customer, occurred_at=begin - 1, arrived_at=begin - 1,
        position=Position("shop", 0, 0, 0), data=data,
    )  # fmt: skip
    found = []
    for number, (minute, what, which, late) in enumerate(some):
        at = begin + minute * MINUTE
        found.append(made(what, at, which, at + late * MINUTE, str(number), customer))
    ordered = [first, *sorted(found, key=lambda one: (one.arrived_at, one.id))]
    # Everybody has a source of their own, so that its offsets rise in whatever order people are read.
    return [replace(one, position=Position(f"shop-{customer}", 0, 0, place)) for place, one in enumerate(ordered)]


class Answered(Life):
    """A life whose messages a sender ends: most are sent within a minute, some expire, of some nothing is heard."""

    def __init__(self, under: Plan):
        super().__init__(under)
        self.waiting: list[tuple[int, Event]] = []
        self.given_back: set[str] = set()
        # What brought each transition: an event, or None where time alone passed.
        self.inputs: list[Event | None] = []
        self._input: Event | None = None

    def _keep(self, transition: Transition) -> Transition:
        for one in transition.commands:
            drawn = chance(10, "answer", one.id)
            state = "sent" if drawn < 7 else "expired" if drawn < 9 else ""
            if state == "expired":
                self.given_back.add(one.id)
            if state:
                self.waiting.append((one.emitted_at + drawn * 7_000, _receipt(one, state, drawn * 7_000)))
        self.inputs.append(self._input)
        self._input = None
        return super()._keep(transition)

    def answer(self, until: int) -> None:
        """Let what the sender says by a time come back, in its order."""
        while soon := sorted((row for row in self.waiting if row[0] <= until), key=lambda row: (row[0], row[1].id)):
            at, event = soon[0]
            self.waiting.remove(soon[0])
            self.until(at)
            self._keep(api.apply_event(self.customer, event, self.watermark, self.plan))

    def live(self, events: list[Event], end: int) -> "Answered":
        """Feed events in the order of the log, with the answers between them, and let time pass to the end."""
        for one in events:
            self.until(one.arrived_at)
            self.answer(one.arrived_at)
            self._input = one
            self.feed(one)
        for moment in range(events[-1].arrived_at, end, 6 * HOUR):
            self.until(moment)
            self.answer(moment)
        return self


def _receipt(command: Command, state: str, after: int) -> Event:
    at = command.emitted_at + after
    said = {"command_id": command.id, "scenario": command.scenario, "step": command.step, "channel": command.channel}
    return Event(
        id=digest("receipt", state, command.id), type=f"message_{state}", customer=command.customer, occurred_at=at,
        arrived_at=at, position=Position("receipts"), data={**said, "purpose": command.purpose}, depth=command.depth,
    )  # fmt: skip
