"""The engine's door: the only functions that the runtime, the test runner and replay call."""

from models.customer import Customer
from models.event import Event
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition


def apply_event(
    customer: Customer | None, event: Event, watermark: int, plan: Plan, *, activated_at: int = 0, silent: bool = False
) -> Transition:
    """Apply one event: the activation pass if one is owed, then fireable timers, then the event, then what it made due.

    A timer is fireable when its due time is before `watermark` (UTC ms). `silent`: update the profile, start nothing.
    """
    raise NotImplementedError


def fire_timers(customer: Customer, watermark: int, plan: Plan, *, activated_at: int = 0) -> Transition:
    """Fire every timer that is due before `watermark`, in order (due, priority, scenario, enrolment, step)."""
    raise NotImplementedError


def activate(customer: Customer, plan: Plan, watermark: int, activated_at: int) -> Transition:
    """Do the activation pass of a plan on one customer, with `now` = `activated_at`."""
    raise NotImplementedError


def next_due(customer: Customer) -> int | None:
    """Return when the customer's first timer is due (UTC ms), None without one: for the store's timer index."""
    raise NotImplementedError
