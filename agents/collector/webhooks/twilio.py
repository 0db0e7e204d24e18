"""Twilio: the status of text messages, and what customers answer (STOP, START, HELP).

https://www.twilio.com/docs/usage/security#validating-requests: HMAC-SHA1 over the address that Twilio called and the
sorted fields. That address is the collector's public one, never what the request says of itself.
"""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from agents.collector.hub import Hub
from agents.collector.limits import Refused
from agents.collector.texts import texts
from agents.collector.webhooks.base import Call, Listener, Said, Told, about_of, hash_of, heard_of, same
from agents.collector.webhooks.words import HELP, START, STOP, word_of
from pipeline.sending import hearing
from pipeline.sending.hearing import Heard

FIELDS_MAX = 100
# Unknown destination, landline: https://www.twilio.com/docs/api/errors
PERMANENT = frozenset({"30005", "30006", "21211", "21614"})
STOPPED = "21610"


def listener(auth_token: str) -> Listener:
    """Return the webhook for an account's auth token."""

    async def listen(call: Call) -> Told:
        try:
            fields = parse_qsl(call.body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError:
            raise Refused(400, "form") from None
        url = f"{call.hub.base}/webhooks/twilio" + (f"?{call.query}" if call.query else "")
        if not same(call.headers.get("x-twilio-signature", ""), signature(auth_token, url, fields)):
            raise Refused(403, "signature")
        said = dict(fields)
        once = f"{said.get('MessageSid', '')}/{said.get('MessageStatus', '')}/{hash_of(call.body)}"
        if "Body" in said and "MessageStatus" not in said:
            return _answered(call.hub, said, once)
        return Told(once, _status(call, said))

    return listen


def signature(auth_token: str, url: str, fields: list[tuple[str, str]]) -> str:
    """Return the signature of a call."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def _status(call: Call, said: dict[str, str]) -> list[Heard]:
    about = about_of(call.hub, dict(parse_qsl(call.query)).get("ref"))
    state, code = said.get("MessageStatus", ""), said.get("ErrorCode", "")
    if about is None or state not in {"delivered", "undelivered", "failed"}:
        return []
    if code == STOPPED:
        return [hearing.stopped(about.address, call.hub.clock_ms())] if about.address else []
    kind = "delivered" if state == "delivered" else "bounced" if code in PERMANENT else "soft"
    name = f"twilio/{said.get('MessageSid', '')}/{state}"
    return [heard_of(call.hub, Said(about, kind, call.hub.clock_ms(), name, reason=f"error {code}" if code else ""))]


def _answered(hub: Hub, said: dict[str, str], once: str) -> Told:
    word = word_of(said.get("Body", ""))
    address = hub.links.address_hash("sms", said.get("From", ""))
    # Where Twilio keeps the list itself, it has answered already.
    told_by_twilio = "OptOutType" in said
    if word in STOP or said.get("OptOutType") == "STOP":
        return Told(once, [hearing.stopped(address, hub.clock_ms())], _reply(""))
    if word in START or said.get("OptOutType") == "START":
        return Told(once, [hearing.started(address)], _reply(""))
    return Told(once, [], _reply(_help(hub) if word in HELP and not told_by_twilio else ""))


def _help(hub: Hub) -> str:
    spec, store = hub.settings.collector, hub.settings.store
    own = spec.help if spec else ""
    return own or texts(hub.settings.language)["help"].format(store=store.name, url=store.url)


def _reply(message: str) -> Response:
    inner = f"<Message>{escape(message)}</Message>" if message else ""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return Response(f"{head}<Response>{inner}</Response>", media_type="text/xml")
