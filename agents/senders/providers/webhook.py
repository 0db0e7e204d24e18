"""Webhooks by Standard Webhooks: signed, named by the command id, to public addresses only.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import time
from datetime import UTC, datetime

import httpx
import orjson

from agents.senders.providers.http import HttpProvider, by_status, post, text_of
from agents.senders.providers.net import http_client, is_public, literal_address
from agents.senders.secrets import read_secret
from models.senders import EndpointSpec, WebhookSpec
from pipeline.errors import UsageError
from pipeline.sending.mime import MimeError
from pipeline.sending.outcome import Message, Outcome

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
DEFAULT = "default"
# What a receiver says of the message itself; any other refusal may pass, and is tried again.
REFUSED = frozenset({400, 410, 413, 415, 422})


class Endpoint(HttpProvider):
    """One receiver; it takes the webhook's id as a key."""

    name = "webhook"
    idempotent = True
    needs_address = False

    def __init__(self, name: str, spec: EndpointSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client or http_client(spec, public_only=not spec.allow_private))
        self._spec = spec
        self._secret = _secret(read_secret(spec.secret, f"webhook.endpoints.{name}.secret"))
        literal = literal_address(httpx.URL(spec.url))
        if literal is not None and not spec.allow_private and not is_public(literal):
            raise UsageError(f"webhook.endpoints.{name}: {literal} is not public; allow_private: true if it is meant")

    async def request(self, message: Message) -> httpx.Request:
        """Return a signed message: its type is SCENARIO.STEP."""
        body = {
            "type": f"{message.scenario}.{message.step}",
            "timestamp": datetime.fromtimestamp(message.at / 1000, UTC).isoformat(timespec="milliseconds"),
            "data": {"customer": message.customer, **(message.payload or {})},
        }
        content = orjson.dumps(body)
        stamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": message.command,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(self._secret, message.command, stamp, content),
        }
        return post(self._spec.url, content, headers)

    def id_of(self, response: httpx.Response) -> str:
        """A receiver names nothing."""
        return ""

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Any 2xx is taken; 410 says that the receiver wants no more."""
        if response.is_success:
            return super().read(response, message)
        outcome = by_status(response, text_of(response, "message") or text_of(response, "error"))
        if response.status_code in REFUSED:
            return Outcome("rejected", outcome.reason, permanent=response.status_code == 410)
        return Outcome("retry", outcome.reason, after_s=outcome.after_s, trouble=True)


class Webhook:
    """Hands each message to the endpoint of its scenario, else to the default one."""

    name = "webhook"
    idempotent = True
    key_holds_ms = 0
    needs_address = False

    def __init__(self, spec: WebhookSpec):
        self._endpoints = {name: Endpoint(name, one) for name, one in spec.endpoints.items()}
        self.at_once = sum(one.at_once for one in self._endpoints.values())
        rates = [one.rate for one in self._endpoints.values()]
        self.rate = None if None in rates else sum(rate for rate in rates if rate is not None)

    async def send(self, message: Message) -> Outcome:
        """Send to the scenario's endpoint; MimeError where there is none."""
        endpoint = self._endpoints.get(message.scenario) or self._endpoints.get(DEFAULT)
        if endpoint is None:
            raise MimeError(f"no endpoint for {message.scenario} and no default under senders.webhook.endpoints")
        return await endpoint.send(message)

    async def close(self) -> None:
        """Close every endpoint."""
        for one in self._endpoints.values():
            await one.close()


def signature(secret: bytes, name: str, stamp: int, content: bytes) -> str:
    """Return the signature header of a webhook: HMAC-SHA256 over id, time and content."""
    signed = hmac.new(secret, f"{name}.{stamp}.".encode() + content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _secret(text: str) -> bytes:
    """Return a secret's bytes from its form, whsec_ and base64 of 24 to 64 bytes; UsageError where it is none."""
    try:
        found = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) not in SECRET_BYTES:
        raise UsageError("a webhook's secret is whsec_ and 24 to 64 bytes in base64: `openssl rand -base64 32`")
    return found
