"""SendGrid's signed event webhook: ECDSA over timestamp and body, P-256 with SHA-256.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import base64
import binascii
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from agents.collector.hub import Hub
from agents.collector.limits import Refused
from agents.collector.webhooks.base import (
    NAME,
    TOLD_MAX,
    Call,
    Listener,
    Said,
    Told,
    about_of,
    fresh,
    hash_of,
    heard_of,
    seconds,
    text,
    unix_ms,
)
from pipeline.errors import UsageError

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
KINDS = {
    "delivered": "delivered",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}


def listener(public_key: str) -> Listener:
    """Return the webhook for a verification key as SendGrid shows it (base64 of DER)."""
    try:
        key = load_der_public_key(base64.b64decode(public_key))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UsageError("PARCOURS_SENDGRID_KEY: not a verification key as SendGrid shows it") from None
    checked: ec.EllipticCurvePublicKey = key

    async def listen(call: Call) -> Told:
        signature, timestamp = call.headers.get(SIGNATURE, ""), call.headers.get(TIMESTAMP, "")
        try:
            raw = base64.b64decode(signature, validate=True)
            checked.verify(raw, timestamp.encode() + call.body, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError, binascii.Error):
            raise Refused(403, "signature") from None
        fresh(call.hub, unix_ms(timestamp))
        events = call.json(list)
        if len(events) > TOLD_MAX:
            raise Refused(413, "body")
        said = [_said(call.hub, event) for event in events if isinstance(event, dict)]
        # An ECDSA signature has another form that is as good: what was signed names the call.
        return Told(f"{timestamp} {hash_of(call.body)}", [heard_of(call.hub, one) for one in said if one])

    return listen


def _said(hub: Hub, event: dict[str, Any]) -> Said | None:
    about = about_of(hub, event.get(NAME))
    kind = _kind(event)
    if about is None or kind is None:
        return None
    return Said(
        about,
        kind,
        seconds(hub, event.get("timestamp")),
        f"sendgrid/{text(event.get('sg_event_id'))}",
        reason=text(event.get("reason")),
        agent=text(event.get("useragent")),
        url=text(event.get("url")),
        machine=event.get("sg_machine_open") is True,
    )


def _kind(event: dict[str, Any]) -> str | None:
    what = text(event.get("event"))
    if what == "bounce":
        # `blocked` is the other side's policy of the day, `bounce` an address that does not exist.
        return "soft" if event.get("type") == "blocked" else "bounced"
    if what == "dropped":
        return "bounced" if event.get("reason") == "Bounced Address" else None
    return KINDS.get(what)
