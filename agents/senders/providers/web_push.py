"""Web Push: encrypted for the browser (RFC 8291), to its push service (RFC 8030), signed by VAPID (RFC 8292).

The address is the browser's subscription as JSON. Its endpoint comes from outside, so only public addresses over TLS
are called.
"""

import base64
import binascii
import json
import os
import ssl
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import http_ece
import httpx
import jwt
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from agents.senders.providers.http import HttpProvider, by_status, post
from agents.senders.providers.net import http_client, is_public, literal_address
from agents.senders.providers.phone import seconds_left
from agents.senders.secrets import read_secret
from models.senders import WebPushSpec
from pipeline.errors import UsageError
from pipeline.sending.mime import AddressError, MimeError
from pipeline.sending.outcome import Message, Outcome

PLAIN_BYTES_MAX = 3_993  # RFC 8291, section 4: one record of 4,096 bytes
TTL_S = 86_400
TOKEN_S = 12 * 3_600
KEPT_S = 3_600.0
POINT_BYTES, AUTH_BYTES = 65, 16


@dataclass(frozen=True)
class Subscription:
    """Where a browser's push service is, and the browser's keys."""

    endpoint: httpx.URL
    key: bytes
    auth: bytes


class WebPush(HttpProvider):
    """Takes no idempotency key; one that has not arrived yet is replaced by its repetition (the topic)."""

    name = "web-push"

    def __init__(
        self, spec: WebPushSpec, client: httpx.AsyncClient | None = None, context: ssl.SSLContext | None = None
    ):
        super().__init__(spec, client or http_client(spec, public_only=True, context=context))
        self._contact = spec.contact
        self._key = _private_key(read_secret(spec.private_key, "web_push.private_key"))
        self._public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._tokens: dict[str, tuple[str, float]] = {}

    async def request(self, message: Message) -> httpx.Request:
        """Return one encrypted message."""
        target = subscription_of(message.address)
        content = _encrypted(orjson.dumps({**(message.payload or {}), "command": message.command}), target)
        left_s = seconds_left(message)
        headers = {
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(TTL_S if left_s is None else left_s),
            "urgency": "normal",
            "topic": blake2b(message.command.encode(), digest_size=16).hexdigest(),
            "authorization": f"vapid t={self._token(target.endpoint)}, k={_b64(self._public)}",
        }
        return post(str(target.endpoint), content, headers)

    def _token(self, endpoint: httpx.URL) -> str:
        audience = f"{endpoint.scheme}://{endpoint.netloc.decode()}"
        now = time.monotonic()
        made, until = self._tokens.get(audience, ("", 0.0))
        if until <= now:
            claims = {"aud": audience, "exp": int(time.time()) + TOKEN_S, "sub": self._contact}
            made = jwt.encode(claims, self._key, algorithm="ES256")
            self._tokens = {name: one for name, one in self._tokens.items() if one[1] > now}
            self._tokens[audience] = (made, now + KEPT_S)
        return made

    def id_of(self, response: httpx.Response) -> str:
        """Return the message's address at the push service."""
        return str(response.headers.get("location", ""))[:200]

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """A subscription that is gone stays gone."""
        if response.status_code in {404, 410}:
            return Outcome("rejected", f"{response.status_code} the subscription is gone", permanent=True)
        if response.is_success:
            return super().read(response, message)
        return by_status(response, "the push service refuses it")


def subscription_of(address: str | None) -> Subscription:
    """Return a subscription from its JSON; AddressError where it is none or leads to where nobody may call."""
    try:
        said: Any = json.loads(address or "")
        endpoint = httpx.URL(said["endpoint"])
        key, auth = _unb64(said["keys"]["p256dh"]), _unb64(said["keys"]["auth"])
    except (ValueError, KeyError, TypeError, httpx.InvalidURL, binascii.Error):
        raise AddressError("not a browser's push subscription") from None
    if endpoint.scheme != "https" or not endpoint.host or endpoint.userinfo:
        raise AddressError("the subscription's endpoint is no https address")
    literal = literal_address(endpoint)
    if literal is not None and not is_public(literal):
        raise AddressError("the subscription's endpoint is not public")
    if len(key) != POINT_BYTES or len(auth) != AUTH_BYTES:
        raise AddressError("the subscription's keys have the wrong length")
    return Subscription(endpoint, key, auth)


def _encrypted(plain: bytes, target: Subscription) -> bytes:
    if len(plain) > PLAIN_BYTES_MAX:
        raise MimeError(f"{len(plain)} bytes, a push message takes {PLAIN_BYTES_MAX}")
    own = ec.generate_private_key(ec.SECP256R1())
    try:
        sealed: bytes = http_ece.encrypt(
            plain, salt=os.urandom(16), private_key=own, dh=target.key, auth_secret=target.auth, version="aes128gcm"
        )
    except (http_ece.ECEException, ValueError, InvalidTag) as error:
        raise AddressError(f"the subscription's key is none: {type(error).__name__}") from None
    return sealed


def _private_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Return the key from PEM, or from the 32 bytes in base64url that the usual tools print."""
    try:
        if text.startswith("-----"):
            found = load_pem_private_key(text.encode(), None)
        else:
            found = ec.derive_private_key(int.from_bytes(_unb64(text), "big"), ec.SECP256R1())
    except (ValueError, TypeError, binascii.Error) as error:
        raise UsageError(f"web_push.private_key is no P-256 key: {type(error).__name__}") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.curve.name != "secp256r1":
        raise UsageError("web_push.private_key is no P-256 key")
    return found


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
