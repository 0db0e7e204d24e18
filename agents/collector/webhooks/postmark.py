"""Postmark's webhooks: no signature, but a name and password in the address that it calls (HTTP basic authentication).

https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

import base64
import binascii
from typing import Any

from agents.collector.hub import Hub
from agents.collector.limits import Refused
from agents.collector.webhooks.base import (
    NAME,
    Call,
    Listener,
    Said,
    Told,
    about_of,
    hash_of,
    heard_of,
    moment,
    part,
    same,
    text,
)
from pipeline.errors import UsageError

PASSWORD_CHARS_MIN = 16
# Those of Postmark's bounce types that no later try would end otherwise.
PERMANENT = frozenset({"HardBounce", "BadEmailAddress"})
KINDS = {"Delivery": "delivered", "Open": "opened", "Click": "clicked", "SpamComplaint": "complained"}
TIMES = {
    "Delivery": "DeliveredAt",
    "Bounce": "BouncedAt",
    "SpamComplaint": "BouncedAt",
    "SubscriptionChange": "ChangedAt",
}
PARTS_MAX = 8


def listener(credentials: str) -> Listener:
    """Return the webhook for `name:password`."""
    if len(credentials.partition(":")[2]) < PASSWORD_CHARS_MIN:
        raise UsageError(f"PARCOURS_POSTMARK_LOGIN: write name:password, of at least {PASSWORD_CHARS_MIN} characters")

    async def listen(call: Call) -> Told:
        if not same(_credentials(call.headers.get("authorization", "")), credentials):
            raise Refused(401, "signature")
        event = call.json(dict)
        said = _said(call.hub, event)
        return Told(hash_of(call.body), [heard_of(call.hub, said)] if said else [])

    return listen


def _credentials(header: str) -> str:
    scheme, _, said = header.partition(" ")
    try:
        return base64.b64decode(said, validate=True).decode() if scheme.lower() == "basic" else ""
    except (ValueError, binascii.Error):
        return ""


def _reference(event: dict[str, Any]) -> str:
    """Join the parts of the reference: a value of metadata has room for 80 characters."""
    names = [NAME, *(f"{NAME}-{number}" for number in range(2, PARTS_MAX + 1))]
    return "".join(text(part(event, "Metadata", name)) for name in names)


def _said(hub: Hub, event: dict[str, Any]) -> Said | None:
    about = about_of(hub, _reference(event))
    kind = _kind(event)
    if about is None or kind is None:
        return None
    record = text(event.get("RecordType"))
    at = moment(hub, event.get(TIMES.get(record, "ReceivedAt")))
    number = event.get("ID") if isinstance(event.get("ID"), int) else at
    return Said(
        about,
        kind,
        at,
        f"postmark/{record}/{text(event.get('MessageID'))}/{number}",
        reason=text(event.get("Description")) or text(event.get("Type")),
        agent=text(event.get("UserAgent")),
        url=text(event.get("OriginalLink")),
    )


def _kind(event: dict[str, Any]) -> str | None:
    record = text(event.get("RecordType"))
    if record == "Bounce":
        return "bounced" if text(event.get("Type")) in PERMANENT else "soft"
    if record == "SubscriptionChange":
        by_hand = event.get("SuppressSending") is True and event.get("SuppressionReason") == "ManualSuppression"
        return "unsubscribed" if by_hand and event.get("Origin") == "Recipient" else None
    return KINDS.get(record)
