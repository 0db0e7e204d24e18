"""The mutable view of one customer while one input is worked on; its end is a new frozen `Customer`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from models.command import Cancel, Command
from models.customer import (
    Cold,
    Customer,
    Ended,
    Enrolment,
    Entry,
    Identity,
    Place,
    Profile,
    Remembered,
    Tracked,
)
from models.decision import Decision
from models.event import Event
from models.voucher import Voucher
from pipeline.engine.env import Env
from pipeline.engine.plan import Plan, Scenario
from pipeline.engine.transition import Transition


class Happening(msgspec.Struct, frozen=True, eq=False):
    """Something that scenarios look at: a native event or one derived from it, at its own `at` (UTC ms).

    `view` is what expressions see as `event`: the data with id, type and at.
    """

    type: str
    id: str
    at: int
    view: Mapping[str, Any]
    source: Event


class Work:
    """One customer under one plan: lists that are free to change, and what goes out so far."""

    __slots__ = (
        "activated", "before", "cancels", "cold", "commands", "decisions", "ended", "enrolments", "forwards", "gone",
        "id", "identity", "now", "places", "plan", "profile", "ready", "recent", "remembered", "seen", "silent",
        "stirred", "touched", "tracked", "upcoming", "vouchers", "watermark",
    )  # fmt: skip

    def __init__(self, customer: Customer, plan: Plan, watermark: int):
        self.before = customer
        self.seen = customer  # the last frozen view
        self.plan = plan
        self.watermark = watermark
        self.id = customer.id
        self.now = customer.now
        self.activated = customer.activated
        self.recent = customer.recent
        self.profile: Profile = customer.profile
        self.cold: Cold = customer.cold
        self.remembered: tuple[Remembered, ...] = customer.remembered
        self.enrolments: tuple[Enrolment, ...] = customer.enrolments
        self.places: tuple[Place, ...] = customer.places
        self.ended: tuple[Ended, ...] = customer.ended
        self.identity: Identity | None = customer.identity
        self.tracked: Tracked = customer.tracked
        self.ready: list[str] = []  # ids of enrolments that may run on
        self.upcoming: list[tuple[str, Entry, str]] = []  # scenario, kept entry event, key: they enter next
        # What steps wrote to the customer, for the segments that read it: read, enrolment, depth of its entry.
        self.touched: list[tuple[str, str, int]] = []
        self.commands: list[Command] = []
        self.cancels: list[Cancel] = []
        self.decisions: list[Decision] = []
        self.forwards: list[Event] = []
        self.vouchers: list[Voucher] = []
        self.stirred = False  # somebody entered or left, or a step wrote: what conditions read of scenarios moved
        self.silent = False
        self.gone = False

    def customer(self) -> Customer:
        """Return the customer as they stand now."""
        seen = self.seen
        if (
            seen.enrolments is self.enrolments
            and seen.profile is self.profile
            and seen.cold is self.cold
            and seen.places is self.places
            and seen.recent is self.recent
            and seen.remembered is self.remembered
            and seen.ended is self.ended
            and seen.identity is self.identity
            and seen.tracked is self.tracked
            and seen.now == self.now
            and seen.activated == self.activated
        ):
            return seen
        self.seen = Customer(
            id=self.id,
            now=self.now,
            activated=self.activated,
            recent=self.recent,
            profile=self.profile,
            cold=self.cold,
            remembered=self.remembered,
            enrolments=self.enrolments,
            places=self.places,
            ended=self.ended,
            identity=self.identity,
            tracked=self.tracked,
        )
        return self.seen

    def begin_anew(self) -> None:
        """Go on with a customer of whom nothing is known: what was kept has just been forgotten."""
        self.keep(Customer(id=self.id, activated=self.activated))
        self.gone = False

    def keep(self, customer: Customer) -> None:
        """Make this the state, whatever it was; what goes out so far stays."""
        self.before = self.seen = customer
        self.now = customer.now
        self.recent, self.remembered = customer.recent, customer.remembered
        self.profile, self.cold, self.identity = customer.profile, customer.cold, customer.identity
        self.enrolments, self.places, self.ended = customer.enrolments, customer.places, customer.ended
        self.tracked = customer.tracked
        self.ready, self.upcoming, self.touched = [], [], []

    def transition(self, *, duplicate: bool = False) -> Transition:
        """Close the view."""
        return Transition(
            customer=None if self.gone else self.customer(),
            commands=self.commands,
            cancels=self.cancels,
            decisions=self.decisions,
            forwards=self.forwards,
            vouchers=self.vouchers,
            duplicate=duplicate,
            silent=self.silent,
        )

    def move_now(self, at: int) -> None:
        """Move `now` on, never back."""
        self.now = max(self.now, at)

    def scenario_of(self, enrolment: Enrolment) -> Scenario | None:
        """Return the version that an enrolment is inside, None where the plan no longer has it."""
        return self.plan.versions.get((enrolment.scenario, enrolment.version))

    def enrolment(self, name: str) -> Enrolment | None:
        """Return an enrolment by id."""
        for enrolment in self.enrolments:
            if enrolment.id == name:
                return enrolment
        return None

    def put(self, enrolment: Enrolment) -> None:
        """Replace the enrolment of the same id."""
        self.enrolments = tuple(enrolment if old.id == enrolment.id else old for old in self.enrolments)

    def drop(self, name: str) -> None:
        """Forget an enrolment."""
        self.enrolments = tuple(old for old in self.enrolments if old.id != name)

    def env(self, enrolment: Enrolment | None = None, event: Mapping[str, Any] | None = None) -> Env:
        """Return what an expression sees: the customer as they stand whenever it is evaluated."""
        if enrolment is None:
            return Env(self, self.now, self.plan.settings, event)
        names = {name: kept.data for name, kept in enrolment.names.items()} if enrolment.names else {}
        return Env(self, self.now, self.plan.settings, event, entry_view(enrolment), names, enrolment)

    def decide(self, outcome: str, reason: str, enrolment: Enrolment | None = None, **more: Any) -> None:
        """Record one outcome with its reason."""
        if enrolment is not None:
            more = {
                "scenario": enrolment.scenario,
                "enrolment": enrolment.id,
                "version": enrolment.version,
                **more,
            }
        self.decisions.append(Decision(customer=self.id, at=self.now, outcome=outcome, reason=reason, **more))


def entry_view(enrolment: Enrolment) -> dict[str, Any]:
    """Return what expressions see as `entry`."""
    entry = enrolment.entry
    return {**entry.data, "id": entry.event, "type": entry.type, "at": entry.at}
