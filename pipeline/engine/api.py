"""The engine's door: the only functions that the runtime, the test runner and replay call.

Theory of operation. A customer's state is one frozen record; an input is an event, the watermark that lets timers
fire, or a plan's activation. Every function here opens a `Work` over the customer, does the input, and closes it into
a `Transition`. Nothing else is read and nothing outside is changed: an exception leaves the customer as it was, and is
the runtime's to make a dead letter of.

Before an event come the activation pass, if one is owed, and the customer's fireable timers (due before the
watermark); after it the timers that it set in the past. Inside an event the order is: duplicate check (the last 32
ids), profile and cart, then for the event and for the `cart_changed` derived from it: memory, receipts, goals and
exits, enrolments that wait for it, new entries by priority, and last the steps of all who may go on, by priority.

Three times are told apart. The watermark says which timers may fire, and enters nothing else. `now` is the event's
`at` or the timer's due time, never before the customer's last `now`: conditions, caps and decisions see it. An
enrolment has a clock of its own, which starts at the entry event's `at`: waits, due times and deadlines count from it.
So events that are read early or late by each other give the same messages, as far as the remembered ones reach.

    state           profile, cart, person, interests   what each event leaves in the customer
    edits           edits, trail                       what a plan's edit does to those inside
    memory          memory, bounds                     what is kept to look back at, and how much of it
    enrolments      entering, exits, ending, settling  how they begin, end, close; goals, cancels, receipts
                    withdrawing                        what a withdrawn consent takes back
    program         steps, waits, until, sending,      what an enrolment does; the checks of a send
                    caps, quiet
    time, chance    timers, local_time, chances        the order of what is due; zones; shares by hash
    from history    backfilling                        enrolments that a backfill worked out
    identity        identity, merging                  visitors who sign in: aliases, forwards, what they held
    frame           plan, env, work, transition        what comes in, what expressions see, what goes out
"""

from typing import Any

from msgspec.structs import replace

from models.customer import Customer, Enrolment
from models.event import Event
from models.identity import BACKFILLED, ERASURE, MERGED
from models.ids import derived_event_id
from pipeline.engine import (
    backfilling,
    cart,
    edits,
    identity,
    interests,
    merging,
    person,
    profile,
    scheduled,
    sessions,
    timers,
    tracking,
    until,
    withdrawing,
)
from pipeline.engine.acting import act, run_ready
from pipeline.engine.ending import cancel_unsent, close_or_drop, end
from pipeline.engine.entering import is_stopped
from pipeline.engine.memory import note_id
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from pipeline.engine.work import Happening, Work


def apply_event(
    customer: Customer | None, event: Event, watermark: int, plan: Plan, *, activated_at: int = 0, silent: bool = False
) -> Transition:
    """Apply one event: the activation pass if one is owed, then fireable timers, then the event, then what it made due.

    A timer is fireable when its due time is before `watermark` (UTC ms). `silent`: update the profile, start nothing.
    """
    if customer is None:
        if identity.is_of_nobody(event):
            return Transition(customer=None)
        customer = Customer(id=event.customer, activated=plan.pass_name)
    work = Work(customer, plan, watermark)
    if work.activated != plan.pass_name:
        _activate(work, activated_at)
    timers.fire(work)
    if work.gone:
        work.begin_anew()
    if event.id in work.recent:
        return work.transition(duplicate=True)
    work.silent = silent or event.arrived_at - event.at > plan.settings.lateness_ms
    work.move_now(event.at)
    note_id(work, event.id)
    if not identity.concerns(work, event):
        _event(work, event)
    elif event.type == MERGED:
        _merged(work, event)
    elif event.type == ERASURE:
        _forget(work, event)
    elif event.type == BACKFILLED and not identity.is_alias(work):
        backfilling.take_in(work, event)
    else:
        identity.linked_or_forwarded(work, event)
    if not work.gone:
        timers.fire(work)
    return work.transition()


def fire_timers(customer: Customer, watermark: int, plan: Plan, *, activated_at: int = 0) -> Transition:
    """Fire every timer that is due before `watermark`, in order (due, priority, scenario, enrolment, step)."""
    work = Work(customer, plan, watermark)
    if work.activated != plan.pass_name:
        _activate(work, activated_at)
    timers.fire(work)
    return work.transition()


def activate(customer: Customer, plan: Plan, watermark: int, activated_at: int) -> Transition:
    """Do the activation pass of a plan on one customer, with `now` = `activated_at`, then what it made due."""
    work = Work(customer, plan, watermark)
    if work.activated != plan.pass_name:
        _activate(work, activated_at)
    timers.fire(work)
    return work.transition()


def next_due(customer: Customer) -> int | None:
    """Return when the customer's first timer is due (UTC ms), None without one: for the store's timer index."""
    return timers.next_due(customer)


def _activate(work: Work, at: int) -> None:
    """Let an edit, or a stop, act on those inside; whose version is nowhere any more, ends."""
    work.move_now(at)
    work.activated = work.plan.pass_name
    for enrolment in work.enrolments:
        live = edits.target_of(work.plan, enrolment)
        if is_stopped(work.plan, enrolment.scenario):
            _leave(work, enrolment, "stopped")
        elif live is not None:
            edits.migrate(work, enrolment, live, at)
        elif work.scenario_of(enrolment) is None:
            _leave(work, enrolment, "version_missing" if enrolment.scenario in work.plan.live else "scenario_removed")
    if work.plan.tracks or work.tracked.due is not None:
        tracking.start(work, at)
        scheduled.start(work, at)
        tracking.set_due(work, at)
    run_ready(work)


def _leave(work: Work, enrolment: Enrolment, reason: str) -> None:
    """End an enrolment; of one that is closing take back what is out, which nothing else could stop any more."""
    if not enrolment.closing:
        end(work, enrolment, work.now, "exited", reason, cancel=True)
        return
    cancelled = cancel_unsent(work, enrolment, reason)
    if reason == "stopped":
        close_or_drop(work, cancelled)
    else:
        work.drop(enrolment.id)


def _forget(work: Work, event: Event) -> None:
    if not identity.may_erase(work, event):
        return
    identity.erase_aliases(work, event)
    for enrolment in work.enrolments:
        cancel_unsent(work, enrolment, "erasure")
    work.decide("dropped", "erasure")
    work.gone = True


def _merged(work: Work, event: Event) -> None:
    """What a visitor held comes to the known customer, its cart as it was: with its own id and time."""
    old_cart = work.cold.cart
    held = merging.merge(work, event)
    if cart.differs(old_cart, work.cold.cart):
        name, at = merging.last_change(held, event, work.profile.last_order_at)
        # It is remembered already, with the visitor's others.
        work.remembered = tuple(kept for kept in work.remembered if kept.id != name)
        act(work, _cart_changed(work, name, at, event))
    if work.plan.tracks:
        for happening in tracking.after_merge(work, event, held.tracked):
            act(work, happening)
    run_ready(work)


def _event(work: Work, event: Event) -> None:
    settings = work.plan.settings
    old_cart = work.cold.cart
    kind = event.type
    if kind in cart.CART_EVENTS:
        new = cart.update(old_cart, event, work.profile.last_order_at, settings)
        if new is not old_cart:
            work.cold = replace(work.cold, cart=new)
    work.profile = profile.update(work.profile, event, settings)
    consents = work.cold.consents
    work.cold = interests.update(person.update(work.cold, event), event, settings)
    if work.plan.best_hours:
        work.cold = until.count_hour(work.cold, event, work.plan.best_hours, settings)
    if work.enrolments and work.cold.consents is not consents:
        withdrawing.take_back(work, event)
    view = {**event.data, "id": event.id, "type": kind, "at": event.at}
    happened = [Happening(kind, event.id, event.at, view, event)]
    if cart.differs(old_cart, work.cold.cart):
        happened.append(_cart_changed(work, derived_event_id(event.id, "cart_changed"), event.at, event))
    if work.plan.tracks:
        ended = sessions.update(work, event) if work.plan.sessions else None
        happened = happened if ended is None else [ended, *happened]
        happened += tracking.after_event(work, event, happened)
    for happening in happened:
        act(work, happening)
    if work.plan.moments and kind in person.PERSON_EVENTS:
        scheduled.zone_moved(work, event)


def _cart_changed(work: Work, name: str, at: int, event: Event) -> Happening:
    """Return the change of the cart of that name, made at a time (UTC ms)."""
    now = work.cold.cart
    view: dict[str, Any] = {"items": now.items, "total": now.total, "url": now.url}
    view |= {"id": name, "type": "cart_changed", "at": at}
    return Happening("cart_changed", name, at, view, event)
