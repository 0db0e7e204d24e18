"""What a visitor held, put together with what is known of the customer who they turned out to be.

The rules, each so that it does not matter who did what on which device:
    profile      counts and amounts add up; times are the first, or the last, of both
    attributes   last writer by `at`, ties by event id; consents too, by channel and purpose
    cart         see `merged_cart`
    interests    counts add up, the most counted stay; so do pages, and the hours of opens and clicks
    scores       points add up, as they are worth at the sign-in; counts in a window too, bucket by bucket
    remembered   both, the last 8 of a type; those of the visitor look at the customer's exits and goals
    caps         the places of both count
    again        the later end of a scenario counts
    enrolments   the open ones enter anew by their own entry events, with what they have sent; the closing ones go on
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from models.customer import Attribute, Cart, Cold, Consent, Ended, Identity, Place, Profile, Remembered
from models.event import Event
from models.identity import Held, Passage
from models.ids import derived_event_id
from pipeline.engine.bounds import bounded
from pipeline.engine.caps import PLACES_MAX
from pipeline.engine.cart import ITEMS_MAX, total_of
from pipeline.engine.counts import together_by_value
from pipeline.engine.ending import ENDED_OF_A_SCENARIO
from pipeline.engine.entering import ENROLMENTS_MAX, enter_by_name
from pipeline.engine.exits import look, look_at_conditions
from pipeline.engine.identity import ALIASES_MAX, erase_alias
from pipeline.engine.interests import BOUGHT_MAX, COUNTED_MAX
from pipeline.engine.memory import KEPT_OF_A_TYPE, RECENT_IDS, by_time, view_of
from pipeline.engine.person import ATTRIBUTES_MAX, CONSENTS_MAX, place_of
from pipeline.engine.withdrawing import take_back
from pipeline.engine.work import Happening, Work

FIRSTS = ("first_seen", "first_order_at")
LASTS = ("last_seen", "last_visit_at", "last_open_at", "last_click_at", "last_order_at", "last_return_at")
SUMS = ("orders", "visits", "opens", "clicks", "spent", "refunded", "uncounted")


def merge(work: Work, event: Event) -> Held:
    """Take in what an `identity_merged` event brings, and return it.

    The cart's change is left to the caller, after which the enrolments that entered may run.
    """
    held = msgspec.convert(event.data["held"], Held)
    visitor = str(event.data["visitor"])
    _note_alias(work, event, visitor)
    work.decide("merged", "identified", event=event.id, detail={"visitor": visitor})
    work.profile = merged_profile(work.profile, held.profile)
    cart = merged_cart(work.cold.cart, held.cold.cart, work.profile.last_order_at, event.at)
    consents, work.cold = work.cold.consents, merged_cold(work.cold, held.cold, cart)
    if held.cold.same:
        same = together_by_value(work.cold.same, held.cold.same, work.plan.rules.counters, work.now)
        work.cold = replace(work.cold, same=same)
    if work.enrolments and work.cold.consents != consents:
        take_back(work, event)
    work.places = _places(work.places, held.places)
    work.ended = _ended(work.ended, held.ended)
    work.recent = tuple(dict.fromkeys((*held.recent, *work.recent)))[-RECENT_IDS:]
    _look_back(work, event, held.remembered)
    _go_on_closing(work, held)
    _enter(work, held.passages)
    return held


def last_change(held: Held, event: Event, last_order_at: int | None) -> tuple[str, int]:
    """Return the id and time (UTC ms) of the last change of a visitor's cart since the person's last order.

    A cart that was given once more since then, with the content that it had, is new by that.
    """
    ordered = -1 if last_order_at is None else last_order_at
    changes = [kept for kept in held.remembered if kept.type == "cart_changed" and kept.at > ordered]
    if changes:
        last = max(changes, key=by_time)
        return last.id, last.at
    cart = held.cold.cart
    name = derived_event_id(cart.changed_by or event.id, "cart_changed")
    return name, event.at if cart.changed_at is None else cart.changed_at


def _note_alias(work: Work, event: Event, visitor: str) -> None:
    identity = work.identity or Identity()
    aliases = (*[name for name in identity.aliases if name != visitor], visitor)
    for name in aliases[:-ALIASES_MAX]:
        erase_alias(work, event, name)
    work.identity = replace(identity, aliases=aliases[-ALIASES_MAX:])


def merged_profile(mine: Profile, theirs: Profile) -> Profile:
    """Return the profile of one person from two."""
    changes = {name: getattr(mine, name) + getattr(theirs, name) for name in SUMS}
    for names, choose in ((FIRSTS, min), (LASTS, max)):
        for name in names:
            times = [time for time in (getattr(mine, name), getattr(theirs, name)) if time is not None]
            changes[name] = choose(times, default=None)
    if (theirs.last_rating_at or 0) > (mine.last_rating_at or 0):
        changes |= {"last_rating": theirs.last_rating, "last_rating_at": theirs.last_rating_at}
    return replace(mine, **changes)


def merged_cold(mine: Cold, theirs: Cold, cart: Cart) -> Cold:
    """Return attributes, consents and interests of one person from two, with the merged cart; `same` stays mine."""
    new = [product for product in mine.bought if product not in theirs.bought]
    return Cold(
        attributes=_attributes(mine.attributes, theirs.attributes),
        consents=_consents(mine.consents, theirs.consents),
        cart=cart,
        categories=_counts(mine.categories, theirs.categories),
        brands=_counts(mine.brands, theirs.brands),
        products=_counts(mine.products, theirs.products),
        bought=(*theirs.bought, *new)[-BOUGHT_MAX:],
        channels=_counts(mine.channels, theirs.channels),
        devices=_counts(mine.devices, theirs.devices),
        months=_counts(mine.months, theirs.months),
        pages=merged_pages(mine.pages, theirs.pages),
        hours=_hours(mine.hours, theirs.hours),
        same=mine.same,
    )


def merged_cart(mine: Cart, theirs: Cart, last_order_at: int | None, linked_at: int) -> Cart:
    """Return the cart of one person from two: the lines of the later one, and of the other those it lacks.

    Later is by the last change, ties by event id. A cart that is not newer than the last order was paid for. A whole
    cart that the customer's own id gave at the sign-in or after it is what the store made of both. The total is the
    later cart's own, plus the lines that came in.
    """
    if mine.whole_at is not None and mine.whole_at >= linked_at:
        return mine
    mine, theirs = _unpaid(mine, last_order_at), _unpaid(theirs, last_order_at)
    earlier, later = sorted((mine, theirs), key=lambda cart: (cart.changed_at or 0, cart.changed_by))
    have = [item.product_id for item in later.items]
    more = tuple(item for item in earlier.items if item.product_id not in have)[: ITEMS_MAX - len(later.items)]
    brought = [time for time in (mine.brought_at, theirs.whole_at) if time is not None]
    came = dict(mine.came)
    for item in theirs.items:
        came[item.product_id] = max(linked_at, came.get(item.product_id, 0))
    return replace(
        later,
        items=(*later.items, *more),
        # A cart that comes in alone keeps the total that the store gave it: it may hold a discount.
        total=later.total + total_of(more) if later.items else earlier.total,
        url=later.url or earlier.url,
        whole_at=mine.whole_at,
        brought_at=max(brought, default=None),
        came=tuple(came.items())[-ITEMS_MAX:],
    )


def _unpaid(cart: Cart, last_order_at: int | None) -> Cart:
    if last_order_at is None or not cart.items or cart.changed_at is None or cart.changed_at > last_order_at:
        return cart
    return replace(cart, items=(), total=0, url=None, came=())


def _attributes(mine: dict[str, Attribute], theirs: dict[str, Attribute]) -> dict[str, Attribute]:
    found = dict(mine)
    for name in sorted(theirs):
        old, new = found.get(name), theirs[name]
        if old is None and len(found) < ATTRIBUTES_MAX:
            found[name] = replace(new, value=bounded(new.value))
        elif old is not None and (new.at, new.event) > (old.at, old.event):
            found[name] = new
    return found


def _consents(mine: tuple[Consent, ...], theirs: tuple[Consent, ...]) -> tuple[Consent, ...]:
    found: dict[tuple[str, str, bool], Consent] = {}
    for one in sorted((*mine, *theirs), key=lambda consent: (consent.at, consent.event)):
        found[place_of(one)] = one
    return tuple(sorted(found.values(), key=lambda consent: (consent.at, consent.event)))[-CONSENTS_MAX:]


def _counts(mine: dict[str, int], theirs: dict[str, int]) -> dict[str, int]:
    both = {name: mine.get(name, 0) + theirs.get(name, 0) for name in (*mine, *theirs)}
    if len(both) <= COUNTED_MAX:
        return both
    most = sorted(both, key=lambda name: (-both[name], name))[:COUNTED_MAX]
    return {name: both[name] for name in most}


def merged_pages(mine: dict[str, tuple[int, int]], theirs: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return visits and time by page type of one person from two, of the most visited."""
    both = {name: [*mine.get(name, (0, 0)), *theirs.get(name, (0, 0))] for name in (*mine, *theirs)}
    found = {name: (visits + more, time_ms + longer) for name, (visits, time_ms, more, longer) in both.items()}
    if len(found) <= COUNTED_MAX:
        return found
    most = sorted(found, key=lambda name: (-found[name][0], -found[name][1], name))[:COUNTED_MAX]
    return {name: found[name] for name in most}


def _hours(mine: dict[str, tuple[int, ...]], theirs: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    found = dict(mine)
    for channel, counts in theirs.items():
        held = found.get(channel, (0,) * len(counts))
        found[channel] = tuple(one + other for one, other in zip(held, counts, strict=True))
    return found


def _places(mine: tuple[Place, ...], theirs: tuple[Place, ...]) -> tuple[Place, ...]:
    have = [place.command for place in mine]
    both = (*mine, *[place for place in theirs if place.command not in have])
    return tuple(sorted(both, key=lambda place: (place.at, place.command)))[-PLACES_MAX:]


def _ended(mine: tuple[Ended, ...], theirs: tuple[Ended, ...]) -> tuple[Ended, ...]:
    last: dict[tuple[str, str], Ended] = {}
    for one in sorted((*mine, *theirs), key=lambda ended: (ended.at, ended.scenario, ended.key)):
        last.pop((one.scenario, one.key), None)
        last[one.scenario, one.key] = one
    kept: list[Ended] = []
    for one in reversed(last.values()):
        if sum(1 for other in kept if other.scenario == one.scenario) < ENDED_OF_A_SCENARIO:
            kept.append(one)
    return tuple(reversed(kept))


def _look_back(work: Work, event: Event, theirs: Iterable[Remembered]) -> None:
    """Remember what the visitor did; it can end, cancel and overtake what the customer is inside, and reach goals."""
    have = [kept.id for kept in work.remembered]
    new = sorted((kept for kept in theirs if kept.id not in have), key=by_time)
    for kept in new:
        same = sorted((*[old for old in work.remembered if old.type == kept.type], kept), key=by_time)
        work.remembered = (*[old for old in work.remembered if old.type != kept.type], *same[-KEPT_OF_A_TYPE:])
    for kept in new:
        look(work, Happening(kept.type, kept.id, kept.at, view_of(kept), event))
    look_at_conditions(work, Happening(event.type, event.id, event.at, {}, event))


def _go_on_closing(work: Work, held: Held) -> None:
    """Take over enrolments that only await receipts and goals; where there is no room they are forgotten."""
    new = [one for one in held.closing if work.enrolment(one.id) is None]
    work.enrolments = (*work.enrolments, *new[: max(0, ENROLMENTS_MAX - len(work.enrolments))])


def _enter(work: Work, passages: tuple[Passage, ...]) -> None:
    """Let the visitor's open enrolments enter for the customer, with their own entry events, highest priority first."""
    priority = {scenario.name: scenario.priority for scenario in work.plan.scenarios}

    def rank(one: Passage) -> tuple[int, str, int, str]:
        return (-priority.get(one.scenario, 0), one.scenario, one.entry.at, one.entry.event)

    for one in sorted(passages, key=rank):
        enter_by_name(work, one.scenario, one.entry, one.key, one.sent)
        if one.next_entry is not None:
            enter_by_name(work, one.scenario, one.next_entry, one.key)
