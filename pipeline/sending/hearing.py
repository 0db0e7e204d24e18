"""What customers and providers say of our messages, as native records and facts about addresses.

The id of an open or a click is made of the message, the link, whether a machine did it, and the day: told twice, by our
own pixel and by a provider, it is one event. Everything else is told by an id of its teller's.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from models.ids import digest
from pipeline.errors import ParcoursError
from pipeline.sending.links import About
from pipeline.sending.suppressions import Suppression

DAY_MS = 24 * 3_600_000
REASON_CHARS_MAX = 200
# A month, as the preference page says it.
PAUSE_MS = 30 * DAY_MS


class IntakeError(ParcoursError):
    """What was heard could not be made durable: whoever told it is to tell it again."""


class Heard(msgspec.Struct, frozen=True):
    """One thing heard: a native record, facts about an address, and keys of facts that hold no more."""

    event: dict[str, Any] | None = None
    suppress: tuple[Suppression, ...] = ()
    lift: tuple[str, ...] = ()


class Intake(Protocol):
    """Where what was heard goes: when `accept` returns it is durable."""

    async def accept(self, heard: Sequence[Heard]) -> None:
        """Take what was heard, in order; an exception means that nothing may be acknowledged."""


def _record(kind: str, about: About, at: int, name: str, **more: Any) -> dict[str, Any]:
    said = {key: value for key, value in more.items() if value is not None}
    return {
        "type": kind,
        "id": digest("heard", name)[:32],
        "customer": about.customer,
        "occurred_at": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds"),
        **said,
    }


def _of_message(kind: str, about: About, at: int, name: str, **more: Any) -> dict[str, Any]:
    return _record(
        kind,
        about,
        at,
        name,
        channel=about.channel,
        command_id=about.command,
        scenario=about.scenario,
        step=about.step,
        purpose=about.purpose,
        **more,
    )


def _seen(kind: str, about: About, at: int, url: str, machine: bool) -> Heard:
    name = digest(kind, about.command, url, str(machine), str(at // DAY_MS))
    return Heard(_of_message(kind, about, at, name, machine=machine or None, url=url or None))


def opened(about: About, at: int, machine: bool) -> Heard:
    """A mail was opened, or a machine fetched its pixel."""
    return _seen("message_opened", about, at, "", machine)


def clicked(about: About, at: int, url: str, machine: bool) -> Heard:
    """A link was followed."""
    return _seen("message_clicked", about, at, url, machine)


def dismissed(about: About, at: int) -> Heard:
    """The customer put a message of the store's page away."""
    return Heard(_of_message("message_dismissed", about, at, digest("message_dismissed", about.command)))


def delivered(about: About, at: int, name: str) -> Heard:
    """The other side took the message."""
    return Heard(_of_message("message_delivered", about, at, name))


def unsubscribed(about: About, at: int, name: str) -> Heard:
    """The customer wants no more marketing by this channel: the row stops what is queued, the event what comes."""
    row = _fact(about, "unsubscribed", at)
    return Heard(_of_message("message_unsubscribed", about, at, name), row)


def complained(about: About, at: int, name: str) -> Heard:
    """The customer called the message spam."""
    return Heard(_of_message("message_complained", about, at, name), _fact(about, "complained", at))


def bounced(about: About, at: int, name: str, *, permanent: bool, reason: str = "") -> Heard:
    """The address took no message: never (`permanent`), or not now."""
    event = _of_message("message_bounced", about, at, name, permanent=permanent, reason=plain(reason) or None)
    return Heard(event, _fact(about, "bounced" if permanent else "soft", at, "" if permanent else digest(name)))


def _fact(about: About, kind: Any, at: int, event: str = "") -> tuple[Suppression, ...]:
    if not about.address:
        return ()
    return (Suppression(address=about.address, kind=kind, at=at, event=event, channel=about.channel),)


def consent(about: About, at: int, channel: str, given: bool) -> Heard:
    """The customer's word on marketing by a channel; given anew, it lifts an unsubscription of this address."""
    event = _record(
        "consent_changed",
        about,
        at,
        digest("consent", about.customer, channel, str(at)),
        for_channel=channel,
        purpose="marketing",
        given=given,
        proof="preference page",
    )
    if channel != about.channel or not about.address:
        return Heard(event)
    if not given:
        return Heard(event, _fact(about, "unsubscribed", at))
    facts = [Suppression(address=about.address, kind=kind, at=at).key for kind in ("unsubscribed", "erased")]
    return Heard(event, (), tuple(facts))


def paused(about: About, at: int, until: int) -> Heard:
    """The customer wants no marketing until a time (UTC ms); a time that has come ends a pause."""
    name = digest("pause", about.customer, str(at))
    wanted = {"for_channel": "*", "purpose": "marketing", "given": False, "until": until, "proof": "preference page"}
    return Heard(
        _record("consent_changed", about, at, name, **wanted), _fact(about, "unsubscribed", at) if until > at else ()
    )


def stopped(address: str, at: int, channel: str = "sms") -> Heard:
    """STOP came from an address (its keyed hash), of nobody that is named."""
    return Heard(None, (Suppression(address=address, kind="stopped", at=at, channel=channel),))


def started(address: str) -> Heard:
    """START takes a STOP back."""
    return Heard(None, (), (Suppression(address=address, kind="stopped", at=0).key,))


def plain(text: str) -> str:
    """Return a provider's reason without addresses, cut short: it stands in the journal and on pages."""
    words = [word if "@" not in word else "(address)" for word in text.split()]
    return " ".join(words)[:REASON_CHARS_MAX]
