"""Vonage, Messages API: the status of text messages, and what customers answer (STOP, START).

https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks: a JWT signed with the
account's signature secret (HS256), which names the hash of the body. An answer to HELP would be a message of its own:
Vonage sends none for us, and the collector has no sender.
"""

import hashlib
from typing import Any
from urllib.parse import parse_qsl

import jwt

from agents.collector.hub import Hub
from agents.collector.limits import Refused
from agents.collector.webhooks.base import (
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
)
from agents.collector.webhooks.words import START, STOP, word_of
from pipeline.errors import UsageError
from pipeline.sending import hearing

SECRET_CHARS_MIN = 16
# No number of a phone, a subscriber who is gone for good: https://developer.vonage.com/en/api-errors/messages
PERMANENT = frozenset({"1170", "1190", "1240"})
ENDS = {"delivered": "delivered", "rejected": "soft", "undeliverable": "soft"}


def listener(signature_secret: str) -> Listener:
    """Return the webhook for an account's signature secret."""
    if len(signature_secret) < SECRET_CHARS_MIN:
        raise UsageError(f"PARCOURS_VONAGE_SECRET: a signature secret has at least {SECRET_CHARS_MIN} characters")

    async def listen(call: Call) -> Told:
        claims = _claims(call, signature_secret)
        said = call.json(dict)
        once = f"{text(claims.get('jti'))}/{text(claims.get('payload_hash'))}"
        if "text" in said and "status" not in said:
            return _answered(call.hub, said, once)
        return Told(once, _status(call, said))

    return listen


def _claims(call: Call, secret: str) -> dict[str, Any]:
    """Return what was signed; Refused where the signature, the hash of the body or the time is not right."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    # The times are judged by the collector's own clock, below.
    unjudged = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
    try:
        claims: dict[str, Any] = jwt.decode(token.strip(), secret, algorithms=["HS256"], options=unjudged)  # type: ignore[arg-type]
    except (jwt.InvalidTokenError, ValueError):
        raise Refused(403, "signature") from None
    if scheme.lower() != "bearer" or not same(text(claims.get("payload_hash")).lower(), _hash(call.body)):
        raise Refused(403, "signature")
    issued = claims.get("iat")
    fresh(call.hub, issued * 1000 if isinstance(issued, int) else 0)
    return claims


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _status(call: Call, said: dict[str, Any]) -> list[hearing.Heard]:
    about = about_of(call.hub, dict(parse_qsl(call.query)).get("ref"))
    state = text(said.get("status"))
    kind = ENDS.get(state)
    if about is None or kind is None:
        return []
    at, code = moment(call.hub, said.get("timestamp")), _code(said)
    name = f"vonage/{text(said.get('message_uuid'))}/{state}"
    kind = "bounced" if code in PERMANENT else kind
    return [heard_of(call.hub, Said(about, kind, at, name, reason=f"error {code}" if code else ""))]


def _code(said: dict[str, Any]) -> str:
    """Return an error's number: its title, or the end of its type's address."""
    title, kind = part(said, "error", "title"), text(part(said, "error", "type"))
    return str(title) if str(title).isdigit() else kind.rpartition("#")[2]


def _answered(hub: Hub, said: dict[str, Any], once: str) -> Told:
    word, number = word_of(text(said.get("text"))), text(said.get("from"))
    address = hub.links.address_hash("sms", f"+{number.removeprefix('+')}")
    if word in STOP:
        return Told(once, [hearing.stopped(address, hub.clock_ms())])
    if word in START:
        return Told(once, [hearing.started(address)])
    return Told(once)
