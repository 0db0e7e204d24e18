"""Records as the log has them, and a projector over a fresh database."""

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, text

from agents.projector.batch import Record
from agents.projector.database import migrate, open_database, sqlite_url
from agents.projector.plans import PlanShelf
from agents.projector.projector import Projector
from agents.projector.schema import OF_THE_LOG
from models.command import Cause, Command
from models.decision import Decision
from models.event import Event, Position
from models.journal import Bundle, PlanActivated
from models.receipt import Receipt
from pipeline.journal.codec import encode
from pipeline.scenario.sources import PlanSources

MINUTE = 60_000
NOON = 1_767_610_800_000  # 2026-01-05T11:00:00Z: noon in Paris
SETTINGS = """
timezone: Europe/Paris
touchpoints:
  - {name: product, stage: discover, on: product_viewed, objective: interest, kpi: {count: cart_item_added, within: 10m, target: 40%}}
  - {name: basket, stage: choose, on: [cart_item_added, cart_updated]}
funnels:
  - {name: buying, within: 1h, steps: [product_viewed, cart_item_added, order_placed]}
"""
PLAN = PlanSources({"settings.yaml": SETTINGS})
_json = msgspec.json.Encoder().encode


class Log:
    """Writes records of every stream, with their offsets."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._next: dict[str, int] = {}
        self._events = 0
        self.bundle(PlanActivated(id="first", plan=PLAN.hash, at=0))

    def put(self, stream: str, value: bytes, **more: Any) -> Record:
        offset = self._next.get(stream, 0)
        self._next[stream] = offset + 1
        record = Record(stream, 0, offset, value, **more)
        self.records.append(record)
        return record

    def bundle(self, *entries: Any) -> Record:
        return self.put("journal", encode(Bundle(writer="test", entries=list(entries))))

    def event(self, kind: str, customer: str, at: int, *, name: str = "", **data: Any) -> Record:
        position = Position("shop", 0, 0, self._events)
        self._events += 1
        return self.bundle(
            Event(
                id=name or f"e{self._events}", type=kind, customer=customer, occurred_at=at, arrived_at=at,
                position=position, data=data,
            )
        )  # fmt: skip

    def decision(self, outcome: str, reason: str, customer: str, at: int, **more: Any) -> Record:
        said = {"scenario": "cart", "version": "v1", "enrolment": f"n-{customer}", **more}
        return self.put("decisions", _json(Decision(customer=customer, at=at, outcome=outcome, reason=reason, **said)))

    def command(self, name: str, customer: str, at: int) -> Record:
        cause = Cause(event_id="e", source_topic="shop", partition=0, offset=7)
        return self.put(
            "delivery",
            _json(
                Command(
                    id=name, scenario="cart", step="reminder", customer=customer, channel="email", purpose="marketing",
                    template="t", data={}, due_at=at, emitted_at=at, valid_until=at + 1, reason=cause,
                    enrolment=f"n-{customer}", version="v1", plan="p",
                )
            ),
        )  # fmt: skip

    def receipt(self, name: str, customer: str, state: str, at: int) -> Record:
        return self.put(
            "receipts",
            _json(
                Receipt(
                    command=name, customer=customer, state=state, at=at, channel="email", scenario="cart",
                    step="reminder", purpose="marketing",
                )
            ),
        )  # fmt: skip


def shopping(customers: int = 5) -> Log:
    """A small day in a shop: looking, a basket, an order or a reminder that is opened and clicked."""
    log = Log()
    for number in range(customers):
        name, at = f"c{number}", NOON + number * 1000
        log.event("product_viewed", name, at, device="phone")
        log.event("cart_item_added", name, at + MINUTE, product_id="p1", price=1000)
        log.decision("entered", "held_out" if number % 3 == 2 else "cart_changed", name, at + MINUTE)
        if number % 2:
            log.event("order_placed", name, at + 2 * MINUTE, order_id=f"o{number}", total=2500)
            log.decision("goal", "order_placed", name, at + 2 * MINUTE, detail={"value": 2500})
            log.decision("exited", "order_placed", name, at + 2 * MINUTE)
        else:
            log.command(f"m{number}", name, at + 46 * MINUTE)
            log.decision("sent", "due", name, at + 46 * MINUTE, step="reminder", command=f"m{number}")
            log.receipt(f"m{number}", name, "intent", at + 47 * MINUTE)
            log.receipt(f"m{number}", name, "sent", at + 47 * MINUTE)
            said = {"command_id": f"m{number}", "scenario": "cart", "step": "reminder"}
            log.event("message_opened", name, at + 50 * MINUTE, **said)
            log.event("message_clicked", name, at + 51 * MINUTE, **said)
            log.event("message_clicked", name, at + 52 * MINUTE, **said)
            log.event("order_placed", name, at + 55 * MINUTE, order_id=f"o{number}", total=4000)
    return log


def plans() -> PlanShelf:
    return PlanShelf(lambda name: PLAN if name == PLAN.hash else None)


def projector(place: Path | str) -> Projector:
    engine = open_database(sqlite_url(place) if isinstance(place, Path) else place)
    migrate(engine)
    return Projector(engine, plans())


def tables(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All that the log says, sorted; a place where nobody is any more says nothing."""
    with engine.connect() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in connection.execute(table.select()).all() if table.name != "inside" or row.n),
                key=repr,
            )
            for table in OF_THE_LOG
        }


def ask(engine: Engine, said: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(said)).all()]
