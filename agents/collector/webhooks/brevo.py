"""Brevo's webhooks: no signature, but a token that it sends along (HTTP bearer authentication).

https://developers.brevo.com/docs/transactional-webhooks and .../docs/username-and-password-authentication
"""

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
    same,
    seconds,
    text,
)
from pipeline.errors import UsageError

TOKEN_CHARS_MIN = 16
KINDS = {
    "delivered": "delivered",
    "opened": "opened",
    "unique_opened": "opened",
    "proxy_open": "opened",
    "unique_proxy_open": "opened",
    "click": "clicked",
    "spam": "complained",
    "complaint": "complained",
    "unsubscribed": "unsubscribed",
    "hard_bounce": "bounced",
    "invalid_email": "bounced",
    "soft_bounce": "soft",
}


def listener(token: str) -> Listener:
    """Return the webhook for the token that Brevo was told to send."""
    if len(token) < TOKEN_CHARS_MIN:
        raise UsageError(f"PARCOURS_BREVO_TOKEN: it needs at least {TOKEN_CHARS_MIN} characters")

    async def listen(call: Call) -> Told:
        scheme, _, said = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not same(said.strip(), token):
            raise Refused(401, "signature")
        event = call.json(dict)
        heard = _said(call.hub, event)
        return Told(hash_of(call.body), [heard_of(call.hub, heard)] if heard else [])

    return listen


def _said(hub: Hub, event: dict[str, Any]) -> Said | None:
    what = text(event.get("event"))
    about = about_of(hub, text(event.get("X-Mailin-custom")).removeprefix(f"{NAME}="))
    kind = KINDS.get(what)
    if about is None or kind is None:
        return None
    at = seconds(hub, event.get("ts_event") or event.get("ts"))
    return Said(
        about,
        kind,
        at,
        f"brevo/{what}/{text(event.get('message-id'))}/{at}",
        reason=text(event.get("reason")),
        agent=text(event.get("user_agent")),
        url=text(event.get("link")),
        # Apple's privacy proxy, as Brevo recognises it.
        machine="proxy_open" in what,
    )
