"""What customers say of themselves: attributes and consents, last-writer by `at`, ties by event id."""

from typing import Any

from msgspec.structs import replace

from models.customer import Attribute, Cold, Consent
from models.event import Event
from pipeline.engine.bounds import bounded
from pipeline.engine.plan import Settings

KNOWN = (
    "email", "phone", "name", "first_name", "last_name", "birthday", "gender",
    "city", "country", "language", "timezone",
)  # fmt: skip
# Bounds keep a state under its cap whatever a source sends.
ATTRIBUTES_MAX = 100
CONSENTS_MAX = 32
PERSON_EVENTS = frozenset({"customer_signed_up", "customer_updated"})
WITHDRAWALS = frozenset({"message_complained", "message_unsubscribed", "message_bounced"})
ADDRESS_OF = {"email": "email", "sms": "phone", "push": "push_token"}


def value_of(cold: Cold, name: str) -> Any:
    """Return an attribute's value, None where it is not known."""
    kept = cold.attributes.get(name)
    return None if kept is None else kept.value


def _written(cold: Cold, event: Event) -> dict[str, Attribute]:
    said = {name: event.data[name] for name in KNOWN if name in event.data}
    said.update(event.data.get("attributes") or {})
    attributes = dict(cold.attributes)
    for name in sorted(said):
        old = attributes.get(name)
        if old is not None and (event.at, event.id) < (old.at, old.event):
            continue
        if old is None and len(attributes) >= ATTRIBUTES_MAX:
            continue
        # None stays, with its time: an older event that is read later must not bring the value back.
        attributes[name] = Attribute(bounded(said[name]), event.at, event.id)
    return attributes


def _consents(old: tuple[Consent, ...], new: Consent) -> tuple[Consent, ...]:
    same = [kept for kept in old if place_of(kept) == place_of(new)]
    if any((kept.at, kept.event) > (new.at, new.event) for kept in same):
        return old
    return (*(kept for kept in old if place_of(kept) != place_of(new)), new)[-CONSENTS_MAX:]


def place_of(consent: Consent) -> tuple[str, str, bool]:
    """Return what a consent is about: a later one takes its place; a pause stands beside the word it interrupts."""
    return consent.channel, consent.purpose, consent.until is not None


def _said(event: Event, data: dict[str, Any]) -> Consent:
    return Consent(
        channel=data.get("for_channel", "*"),
        purpose=data.get("purpose", "marketing"),
        given=data["given"],
        at=event.at,
        event=event.id,
        proof=data.get("proof") or "",
        until=data.get("until"),
    )


def update(cold: Cold, event: Event) -> Cold:
    """Return what is known of the person after an event."""
    if event.type in PERSON_EVENTS:
        consents = cold.consents
        for data in event.data.get("consents") or ():
            consents = _consents(consents, _said(event, data))
        return replace(cold, attributes=_written(cold, event), consents=consents)
    if event.type == "consent_changed":
        return replace(cold, consents=_consents(cold.consents, _said(event, event.data)))
    if event.type in WITHDRAWALS and (event.type != "message_bounced" or event.data.get("permanent")):
        said = {"for_channel": event.data.get("channel") or "*", "given": False, "proof": event.type}
        return replace(cold, consents=_consents(cold.consents, _said(event, said)))
    return cold


def consents_to(cold: Cold, channel: str, purpose: str, settings: Settings, now: int | None = None) -> bool:
    """Say whether a customer may be sent a purpose on a channel: their latest word that covers it, else the default.

    Only marketing needs consent. A pause that reaches beyond `now` (UTC ms) comes first; without `now` none counts.
    """
    if purpose != "marketing":
        return True
    covering = [
        consent for consent in cold.consents if consent.channel in {channel, "*"} and consent.purpose in {purpose, "*"}
    ]
    if now is not None and any(consent.until is not None and consent.until > now for consent in covering):
        return False
    covering = [consent for consent in covering if consent.until is None]
    if not covering:
        return settings.consent_default == "granted"
    return max(covering, key=lambda consent: (consent.at, consent.event)).given


def text_of(cold: Cold, name: str) -> str | None:
    """Return an attribute that is a text with something in it; None for any other, which a source may well send."""
    found = value_of(cold, name)
    return found if isinstance(found, str) and found else None


def address_of(cold: Cold, channel: str) -> str | None:
    """Return the customer's address on a channel; channels without one (web, webhook) give the empty text."""
    name = ADDRESS_OF.get(channel)
    return "" if name is None else text_of(cold, name)
