"""Recency, frequency and money: how each event moves the profile."""

from typing import Any

from msgspec.structs import replace

from models.customer import Profile
from models.event import Event
from models.event_types import OWN_ACTS, VIEWED
from models.money import convert
from pipeline.engine.plan import Settings

# A visit ends after half an hour without a page: the usual rule of web analytics.
VISIT_GAP_MS = 30 * 60_000
BROWSING = frozenset(VIEWED)


def latest(old: int | None, new: int) -> int:
    """Return the later of two times."""
    return new if old is None or new > old else old


def earliest(old: int | None, new: int) -> int:
    """Return the earlier of two times."""
    return new if old is None or new < old else old


def amount_of(event: Event, name: str, settings: Settings) -> int | None:
    """Return the event's amount in the store's minor units: the field, else the sum of its lines.

    None where the event's currency has no rate.
    """
    data = event.data
    amount = data.get(name)
    if amount is None:
        amount = sum((line.get("price") or 0) * line.get("quantity", 1) for line in data.get("items", ()))
    currency = data.get("currency") or settings.currency
    return convert(amount, currency, settings.currency, settings.rates)


def _seen(profile: Profile, event: Event) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    at = event.at
    # A scanner's click is no sign of the customer.
    if event.type in OWN_ACTS and not (event.type == "message_clicked" and event.data.get("machine")):
        if profile.first_seen is None or at < profile.first_seen:
            changes["first_seen"] = at
        if profile.last_seen is None or at > profile.last_seen:
            changes["last_seen"] = at
    if event.type in BROWSING:
        # A page that is read late begins no visit: which visit it belonged to is no longer known.
        last = profile.last_visit_at
        if last is None or at - last > VISIT_GAP_MS or event.type == "session_started":
            changes["visits"] = profile.visits + 1
        if last is None or at > last:
            changes["last_visit_at"] = at
    return changes


def _bought(profile: Profile, event: Event, settings: Settings) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "orders": profile.orders + 1,
        "last_order_at": latest(profile.last_order_at, event.at),
        "first_order_at": earliest(profile.first_order_at, event.at),
    }
    total = amount_of(event, "total", settings)
    if total is None:
        changes["uncounted"] = profile.uncounted + 1
    else:
        changes["spent"] = profile.spent + total
    return changes


def _given_back(profile: Profile, event: Event, settings: Settings) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    amount = amount_of(event, "amount", settings)
    if amount is None:
        changes["uncounted"] = profile.uncounted + 1
    elif amount:
        changes["refunded"] = profile.refunded + amount
    if event.type == "order_returned":
        changes["last_return_at"] = latest(profile.last_return_at, event.at)
    return changes


def update(profile: Profile, event: Event, settings: Settings) -> Profile:
    """Return the profile with one event counted in; times are last-writer by the event's `at`."""
    changes = _seen(profile, event)
    kind = event.type
    if kind == "order_placed":
        changes |= _bought(profile, event, settings)
    elif kind in {"order_cancelled", "order_refunded", "order_returned"}:
        changes |= _given_back(profile, event, settings)
    elif kind == "message_opened":
        # Privacy proxies open mails by themselves: not believed.
        if not event.data.get("machine"):
            changes |= {"opens": profile.opens + 1, "last_open_at": latest(profile.last_open_at, event.at)}
    elif kind == "message_clicked":
        if not event.data.get("machine"):
            changes |= {"clicks": profile.clicks + 1, "last_click_at": latest(profile.last_click_at, event.at)}
    elif kind == "review_posted":
        if profile.last_rating_at is None or event.at >= profile.last_rating_at:
            changes |= {"last_rating": event.data["rating"], "last_rating_at": event.at}
    return replace(profile, **changes) if changes else profile
