"""Plans and events for the engine's tests, built by hand: no YAML, no expressions language."""

from collections.abc import Callable
from typing import Any

from models.command import Command
from models.customer import Customer, Enrolment
from models.event import Event, Position
from models.ids import digest
from pipeline.engine import api
from pipeline.engine.env import Env, Expr, Missing
from pipeline.engine.plan import (
    Again,
    Done,
    Enter,
    ExitRule,
    Limit,
    Op,
    Plan,
    Scenario,
    Send,
    Settings,
    Wait,
    make_plan,
)
from pipeline.engine.transition import Transition

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_700_000_000_000
OPEN = Settings(consent_default="granted", require_address=False)


def expr(call: Callable[[Any], Any], *reads: str) -> Expr:
    def checked(env: Env) -> Any:
        try:
            return call(env)
        except (KeyError, TypeError, AttributeError):
            raise Missing from None

    return Expr(source="test", call=checked, reads=frozenset(reads))


def event(
    kind: str, at: int, customer: str = "c1", *, arrived: int | None = None, salt: str = "", **data: Any
) -> Event:
    return Event(
        id=digest("test", kind, str(at), customer, salt, repr(sorted(data.items()))),
        type=kind,
        customer=customer,
        occurred_at=at,
        arrived_at=at if arrived is None else arrived,
        position=Position("test", 0, 0, at % 1_000_000),
        data=data,
    )


def cart(at: int, *products: str, price: int = 2000, customer: str = "c1", **more: Any) -> Event:
    items = [{"product_id": product, "price": price, "quantity": 1} for product in products]
    return event("cart_updated", at, customer, items=items, **more)


def order(at: int, name: str = "o1", customer: str = "c1", **more: Any) -> Event:
    return event("order_placed", at, customer, order_id=name, items=[{"product_id": "p1", "price": 2000}], **more)


def abandoned(**changes: Any) -> Scenario:
    program: tuple[Op, ...] = (
        Wait(45 * MINUTE, 1, restart_on="cart_changed", at_most_ms=6 * HOUR),
        Send(
            "reminder", ("email",), "abandoned-cart/reminder", "marketing", 2, valid_for_ms=2 * HOUR, if_capped="exit"
        ),
        Wait(23 * HOUR, 3),
        Send("urgency", ("email",), "abandoned-cart/urgency", "marketing", 4),
        Wait(2 * DAY, 5),
        Send("third", ("email",), "abandoned-cart/third", "marketing", 6),
        Done(),
    )
    fields: dict[str, Any] = {
        "name": "abandoned-cart",
        "version": "1",
        "purpose": "marketing",
        "priority": 70,
        "program": program,
        "entries": (
            Enter("cart_changed", when=expr(lambda env: len(env.customer.cold.cart.items) > 0), again=Again("always")),
        ),
        "exits": (
            ExitRule(on="order_placed", reason="order_placed"),
            ExitRule(when=expr(lambda env: len(env.customer.cold.cart.items) == 0), reason="empty cart"),
        ),
        "limit": Limit(3, 7 * DAY),
        "event_fields": (("order_placed", ("order_id",)), ("cart_changed", ())),
    }
    return Scenario(**{**fields, **changes})


def send(name: str, then: int, **more: Any) -> Send:
    fields: dict[str, Any] = {"channels": ("email",), "template": f"s/{name}", "purpose": "marketing", "next": then}
    return Send(name, **{**fields, **more})


def scenario(*program: Op, name: str = "s", on: str = "page_viewed", **changes: Any) -> Scenario:
    """A scenario that anybody enters at every event of a type; the program ends with `Done` by itself."""
    fields: dict[str, Any] = {
        "name": name,
        "version": "1",
        "purpose": "marketing",
        "priority": 50,
        "program": (*program, Done()),
        "entries": (Enter(on, again=Again("always")),),
    }
    return Scenario(**{**fields, **changes})


def field(name: str) -> Expr:
    return expr(lambda env: env.event[name] if env.event is not None else None, f"event.{name}")


def view(at: int, **more: Any) -> Event:
    return event("page_viewed", at, **more)


def plan(*scenarios: Scenario, settings: Settings = OPEN, **more: Any) -> Plan:
    return make_plan("plan-1", scenarios or (abandoned(),), settings, **more)


class Life:
    """One customer under one plan: feed events, move the watermark, and read what came out."""

    def __init__(self, under: Plan | None = None):
        self.plan = under or plan()
        self.customer: Customer | None = None
        self.watermark = 0
        self.out: list[Transition] = []

    def _keep(self, transition: Transition) -> Transition:
        self.customer = transition.customer
        self.out.append(transition)
        return transition

    def feed(self, *events: Event, watermark: int | None = None, silent: bool = False) -> "Life":
        for one in events:
            self.watermark = max(self.watermark, one.arrived_at if watermark is None else watermark)
            self._keep(api.apply_event(self.customer, one, self.watermark, self.plan, silent=silent))
        return self

    def until(self, watermark: int) -> "Life":
        self.watermark = max(self.watermark, watermark)
        if self.customer is not None:
            self._keep(api.fire_timers(self.customer, self.watermark, self.plan))
        return self

    def receipt(self, state: str, at: int, index: int = -1, **more: Any) -> "Life":
        """Feed what became of a command: the last one, or the one at an index."""
        return self.feed(event(f"message_{state}", at, command_id=self.commands[index].id, **more))

    @property
    def commands(self) -> list[Command]:
        return [command for out in self.out for command in out.commands]

    @property
    def open(self) -> list[Enrolment]:
        return [one for one in self.known.enrolments if not one.closing]

    @property
    def known(self) -> Customer:
        assert self.customer is not None
        return self.customer

    @property
    def sends(self) -> list[tuple[str, int]]:
        return [(command.step, command.due_at) for out in self.out for command in out.commands]

    @property
    def cancels(self) -> list[str]:
        return [cancel.reason for out in self.out for cancel in out.cancels]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(decision.outcome, decision.reason) for out in self.out for decision in out.decisions]
