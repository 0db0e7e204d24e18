"""One simulated hour at a time: visits, carts, orders, sign-ups, parcels, and opens of the mails that went out.

An hour is a function of (seed, hour) and of the receipts of two hours before, which are settled by then; so a restart
makes the same records again from the offset where it stopped.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from agents.shop.catalogue import Product, products
from models.ids import chance
from pipeline.intake.record import SourceRecord

START_MS = 1_767_600_000_000  # 2026-01-05 08:00 UTC, a Monday
HOUR_MS = 3_600_000
# An hour's records have offsets from hour * this on.
OFFSETS_AN_HOUR = 10_000
REGULARS = 400
VISITS_AN_HOUR = (4, 3, 2, 2, 3, 6, 12, 20, 28, 32, 34, 36, 40, 38, 34, 34, 36, 42, 48, 52, 46, 34, 20, 10)
SIGN_UPS_AN_HOUR = 5
SHIPPED_AFTER_H, DELIVERED_AFTER_H, OPENED_AFTER_H = 20, 60, 2
OPENED_OF_100 = 38
SECOND_MS, MINUTE_MS = 1_000, 60_000


@dataclass(frozen=True)
class Order:
    """An order of the simulated store."""

    id: str
    customer: str
    at: int


class Shop:
    """The store; `sent_in(hour)` gives (command id, customer) of the mails that went out in an hour."""

    def __init__(self, seed: int, sent_in: Callable[[int], list[tuple[str, str]]]):
        self.seed = seed
        self.sent_in = sent_in
        self.range = products()

    def records(self, start: int) -> Iterator[SourceRecord]:
        """Yield records without end, from an offset on."""
        hour = start // OFFSETS_AN_HOUR
        while True:
            for index, body in enumerate(self.hour(hour)):
                offset = hour * OFFSETS_AN_HOUR + index
                if offset >= start:
                    at = body["occurred_at"]
                    yield SourceRecord(source="shop", offset=offset, timestamp_ms=at, value=orjson.dumps(body))
            hour += 1

    def hour(self, hour: int) -> list[dict[str, Any]]:
        """Return an hour's events in the order of their times."""
        bodies, _ = self._visits(hour)
        if hour == 0:
            bodies += [self._person(f"r{number}", START_MS + number, number) for number in range(REGULARS)]
        bodies += self._sign_ups(hour)
        bodies += self._parcels(hour, SHIPPED_AFTER_H, "order_shipped")
        bodies += self._parcels(hour, DELIVERED_AFTER_H, "order_delivered")
        bodies += self._opens(hour)
        bodies.sort(key=lambda body: (body["occurred_at"], body["customer"], body["type"]))
        return bodies

    def _dice(self, hour: int, what: str) -> random.Random:
        return random.Random(f"{self.seed} {hour} {what}")  # noqa: S311 - a seeded simulation, no secret

    def _person(self, customer: str, at: int, number: int) -> dict[str, Any]:
        consents = [{"for_channel": "email", "purpose": "marketing", "given": True}] if number % 5 else []
        return {
            "type": "customer_signed_up",
            "customer": customer,
            "occurred_at": at,
            "email": f"{customer}@customers.example",
            "language": "fr" if number % 3 == 0 else "en",
            "consents": consents,
        }

    def _sign_ups(self, hour: int) -> list[dict[str, Any]]:
        begin = START_MS + hour * HOUR_MS
        count = SIGN_UPS_AN_HOUR if VISITS_AN_HOUR[(8 + hour) % 24] > 10 else 1
        return [
            self._person(f"n{hour}-{number}", begin + (number * 11 + 3) * MINUTE_MS, hour + number)
            for number in range(count)
        ]

    def _visitor(self, hour: int, dice: random.Random) -> str:
        if hour > 1 and dice.random() < 0.35:
            return f"n{dice.randrange(max(0, hour - 72), hour)}-0"
        return f"r{dice.randrange(REGULARS)}"

    def _visits(self, hour: int) -> tuple[list[dict[str, Any]], list[Order]]:
        dice = self._dice(hour, "visits")
        bodies: list[dict[str, Any]] = []
        orders: list[Order] = []
        for number in range(VISITS_AN_HOUR[(8 + hour) % 24]):
            at = START_MS + hour * HOUR_MS + dice.randrange(25 * MINUTE_MS)
            self._visit(f"{hour}-{number}", self._visitor(hour, dice), at, dice, bodies, orders)
        return bodies, orders

    def _visit(
        self, name: str, customer: str, at: int, dice: random.Random, bodies: list[dict[str, Any]], orders: list[Order]
    ) -> None:
        device = dice.choice(("mobile", "desktop"))
        seen = dice.sample(self.range, dice.randint(1, 5))
        for product in seen:
            bodies.append(_view(customer, at, product, device))
            at += dice.randint(8, 150) * SECOND_MS
        if dice.random() < 0.4:
            cart = seen[: dice.randint(1, 2)]
            items = [_line(product) for product in cart]
            url = f"https://shop.example/cart/{name}"
            bodies.append({"type": "cart_updated", "customer": customer, "occurred_at": at, "items": items, "url": url})
            if dice.random() < 0.45:
                at += dice.randint(2, 12) * MINUTE_MS
                order = Order(f"S{name}", customer, at)
                orders.append(order)
                bodies.append(
                    {
                        "type": "order_placed",
                        "customer": customer,
                        "occurred_at": at,
                        "order_id": order.id,
                        "items": items,
                        "total": sum(product.price for product in cart) / 100,
                        "url": f"https://shop.example/orders/{order.id}",
                    }
                )

    def _parcels(self, hour: int, after: int, kind: str) -> list[dict[str, Any]]:
        if hour < after:
            return []
        _, orders = self._visits(hour - after)
        return [
            {
                "type": kind,
                "customer": order.customer,
                "occurred_at": order.at + after * HOUR_MS,
                "order_id": order.id,
                "carrier": "Parcel Post",
                "expected_at": order.at + DELIVERED_AFTER_H * HOUR_MS,
            }
            for order in orders
        ]

    def _opens(self, hour: int) -> list[dict[str, Any]]:
        if hour < OPENED_AFTER_H:
            return []
        begin = START_MS + hour * HOUR_MS
        return [
            {
                "type": "message_opened",
                "customer": customer,
                "occurred_at": begin + chance(HOUR_MS, "opened at", command),
                "command_id": command,
                "channel": "email",
                "machine": chance(100, "machine", command) < 20,
            }
            for command, customer in self.sent_in(hour - OPENED_AFTER_H)
            if chance(100, "opened", command) < OPENED_OF_100
        ]


def _line(product: Product) -> dict[str, Any]:
    return {
        "product_id": product.id,
        "name": product.name,
        "category": product.category,
        "price": product.price / 100,
        "quantity": 1,
    }


def _view(customer: str, at: int, product: Product, device: str) -> dict[str, Any]:
    line = _line(product)
    del line["quantity"]
    return {
        "type": "product_viewed",
        "customer": customer,
        "occurred_at": at,
        "device": device,
        "channel": "web",
        **line,
    }
