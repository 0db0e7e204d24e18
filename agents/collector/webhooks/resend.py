"""Resend's webhooks: Standard Webhooks under Svix's header names, HMAC-SHA256 over id, time and body.

https://resend.com/docs/webhooks/verify-webhooks-requests and https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

import base64
import binascii
import hashlib
import hmac
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
    fresh,
    heard_of,
    moment,
    part,
    same,
    text,
    unix_ms,
)
from pipeline.errors import UsageError

PREFIX = "whsec_"
KEY_BYTES_MIN = 16
ID_CHARS_MAX = 200
KINDS = {
    "email.delivered": "delivered",
    "email.opened": "opened",
    "email.clicked": "clicked",
    "email.complained": "complained",
    "email.delivery_delayed": "soft",
}


def listener(signing_secret: str) -> Listener:
    """Return the webhook for a signing secret as Resend shows it (`whsec_` and base64)."""
    try:
        key = base64.b64decode(signing_secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) < KEY_BYTES_MIN:
        raise UsageError("PARCOURS_RESEND_SECRET: not a signing secret as Resend shows it (whsec_…)")

    async def listen(call: Call) -> Told:
        once, timestamp = call.headers.get("svix-id", ""), call.headers.get("svix-timestamp", "")
        wanted = f"v1,{signature(key, once, timestamp, call.body)}"
        # While a secret is changed there are two, with a space between them.
        if not any(same(one, wanted) for one in call.headers.get("svix-signature", "").split()):
            raise Refused(403, "signature")
        fresh(call.hub, unix_ms(timestamp))
        if not 0 < len(once) <= ID_CHARS_MAX:
            raise Refused(400, "body")
        said = _said(call.hub, call.json(dict), once)
        return Told(once, [heard_of(call.hub, said)] if said else [])

    return listen


def signature(key: bytes, once: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a call."""
    return base64.b64encode(hmac.new(key, f"{once}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()


def _said(hub: Hub, event: dict[str, Any], once: str) -> Said | None:
    data = event.get("data")
    about = about_of(hub, _reference(part(data, "tags")))
    kind = _kind(event)
    if about is None or kind is None:
        return None
    return Said(
        about,
        kind,
        moment(hub, part(data, "click", "timestamp") or event.get("created_at")),
        f"resend/{once}",
        reason=text(part(data, "bounce", "message")) or text(part(data, "bounce", "subType")),
        agent=text(part(data, "click", "userAgent")),
        url=text(part(data, "click", "link")),
    )


def _reference(tags: Any) -> str:
    """Return the tag that was sent along: tags come back as an object, and once came as a list of names and values."""
    if isinstance(tags, list):
        tags = {text(part(one, "name")): part(one, "value") for one in tags}
    return text(part(tags, NAME))


def _kind(event: dict[str, Any]) -> str | None:
    what = text(event.get("type"))
    if what == "email.bounced":
        # Without a word on it, it is for good: what may pass is told as `email.delivery_delayed`.
        return "bounced" if part(event, "data", "bounce", "type") in {"Permanent", None} else "soft"
    return KINDS.get(what)
