"""Attribution: an order counts for the last message clicked, else the last opened, in time; one order, one message."""

from collections import defaultdict
from typing import Any

from models.event import Event
from models.money import convert
from pipeline.engine.cart import item_of, total_of
from pipeline.insight.definitions import Definitions
from pipeline.insight.visitor import Message, Visitor

# day, scenario, step, "click" | "open" | "none"
Credit = tuple[str, str, str, str]


class OrderDeltas:
    """What a batch adds: credits -> [orders, value in minor units of the store's currency]."""

    def __init__(self) -> None:
        self.credits: defaultdict[Credit, list[int]] = defaultdict(lambda: [0, 0])


def order_value(event: Event, settings: Any) -> int:
    """Return an order's value in minor units of the store's currency; 0 where its currency has no rate."""
    currency = event.data.get("currency") or settings.currency
    total = event.data.get("total")
    if total is None:
        return total_of(tuple(item_of(line, currency, settings) for line in event.data.get("items", ())))
    return convert(total, currency, settings.currency, settings.rates) or 0


def credit(visitor: Visitor, event: Event, day: str, definitions: Definitions, out: OrderDeltas) -> None:
    """Note opens and clicks; give an order to one message, or to none."""
    data = event.data
    if event.type in {"message_clicked", "message_opened"} and not data.get("machine"):
        said = Message(event.at, str(data.get("scenario") or ""), str(data.get("step") or ""))
        if event.type == "message_clicked":
            visitor.clicked = said
        else:
            visitor.opened = said
    elif event.type == "order_placed":
        scenario, step, by = _whose(visitor, event.at, definitions)
        row = out.credits[(day, scenario, step, by)]
        row[0] += 1
        row[1] += order_value(event, definitions.settings)


def _whose(visitor: Visitor, at: int, definitions: Definitions) -> tuple[str, str, str]:
    for said, within, by in (
        (visitor.clicked, definitions.click_ms, "click"),
        (visitor.opened, definitions.open_ms, "open"),
    ):
        if said is not None and said.at <= at <= said.at + within:
            return said.scenario, said.step, by
    return "", "", "none"
