"""Visitors and customers under one plan: every event goes to its customer, what is handed on comes back later."""

from collections import deque

from msgspec.structs import replace

from models.command import Command
from models.customer import Customer
from models.decision import Decision
from models.event import Event, Position
from models.identity import FORWARDS
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from tests.engine.build import event, plan


class People:
    """Some customers: feed events in the order of reading; `lag` inputs pass before what is handed on is read."""

    def __init__(self, under: Plan | None = None, lag: int = 0):
        self.plan = under or plan()
        self.lag = lag
        self.known: dict[str, Customer] = {}
        self.watermark = 0
        self.out: list[tuple[str, Transition]] = []
        self.forwards: list[Event] = []
        self._waiting: deque[tuple[int, Event]] = deque()

    def feed(self, *events: Event, silent: bool = False) -> "People":
        for one in events:
            self.watermark = max(self.watermark, one.arrived_at)
            self._apply(one, silent=silent)
            self._waiting = deque((left - 1, waiting) for left, waiting in self._waiting)
            self.deliver(at_most=0)
        return self

    def deliver(self, at_most: int = 10**9) -> "People":
        """Read what was handed on, up to what still has so many inputs to wait for."""
        while self._waiting and self._waiting[0][0] <= at_most:
            self._apply(self._waiting.popleft()[1])
        return self

    def _apply(self, one: Event, *, silent: bool = False) -> None:
        silent = silent or one.silent
        before = self.known.get(one.customer)
        self._keep(one.customer, api.apply_event(before, one, self.watermark, self.plan, silent=silent))

    def _keep(self, name: str, done: Transition) -> None:
        self.out.append((name, done))
        if done.customer is None:
            self.known.pop(name, None)
        else:
            self.known[name] = done.customer
        for one in done.forwards:
            at = Position(FORWARDS, 0, 0, len(self.forwards))
            self.forwards.append(one)
            self._waiting.append((self.lag, replace(one, position=at)))

    def until(self, watermark: int) -> "People":
        self.deliver()
        self.watermark = max(self.watermark, watermark)
        for name in sorted(self.known):
            self._keep(name, api.fire_timers(self.known[name], self.watermark, self.plan))
        return self.deliver()

    @property
    def commands(self) -> list[Command]:
        return [command for _, out in self.out for command in out.commands]

    @property
    def sends(self) -> list[tuple[str, str, int]]:
        return [(command.customer, command.step, command.due_at) for command in self.commands]

    @property
    def decisions(self) -> list[Decision]:
        return [decision for _, out in self.out for decision in out.decisions]

    def reasons(self, customer: str) -> list[tuple[str, str]]:
        return [(one.outcome, one.reason) for one in self.decisions if one.customer == customer]


def sign_in(at: int, visitor: str = "anon:v", known: str = "c1", **more: object) -> Event:
    return event("identity_linked", at, visitor, known_id=known, **more)  # type: ignore[arg-type]
