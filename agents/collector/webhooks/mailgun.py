"""Mailgun's webhooks: HMAC-SHA256 over timestamp and token, which is good once.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
The signature does not cover what is told: whoever has seen one call could tell something else with it, but not twice.
"""

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
    part,
    same,
    seconds,
    text,
    unix_ms,
)

TOKEN_CHARS_MAX = 100
KINDS = {
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "clicked",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
}


def listener(signing_key: str) -> Listener:
    """Return the webhook for an HTTP webhook signing key."""

    async def listen(call: Call) -> Told:
        told = call.json(dict)
        timestamp = text(part(told, "signature", "timestamp"))
        token, signature = text(part(told, "signature", "token")), text(part(told, "signature", "signature"))
        wanted = hmac.new(signing_key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
        if not same(signature, wanted) or not 0 < len(token) <= TOKEN_CHARS_MAX:
            raise Refused(403, "signature")
        fresh(call.hub, unix_ms(timestamp))
        said = _said(call.hub, told.get("event-data"))
        return Told(token, [heard_of(call.hub, said)] if said else [])

    return listen


def _said(hub: Hub, event: Any) -> Said | None:
    about = about_of(hub, part(event, "user-variables", NAME))
    kind = _kind(event)
    if about is None or kind is None:
        return None
    reason = text(part(event, "delivery-status", "description")) or text(part(event, "delivery-status", "message"))
    return Said(
        about,
        kind,
        seconds(hub, event.get("timestamp")),
        f"mailgun/{text(event.get('id'))}",
        reason=reason or text(event.get("reason")),
        agent=text(part(event, "client-info", "user-agent")),
        url=text(event.get("url")),
        # "apple", "gmail" or "generic" where Mailgun takes the opener for a program.
        machine=bool(text(part(event, "client-info", "bot"))),
    )


def _kind(event: Any) -> str | None:
    what = text(part(event, "event"))
    if what == "failed":
        return "bounced" if part(event, "severity") == "permanent" else "soft"
    return KINDS.get(what)
