"""Amazon SES by SNS: RSA over the notification's fields, by a certificate of Amazon's own host.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
Only signature version 2 (SHA-256) is taken: `aws sns set-topic-attributes --attribute-name SignatureVersion
--attribute-value 2`. Nothing is fetched but over https from `sns.REGION.amazonaws.com`, without following redirects.
"""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

from agents.collector.hub import Hub
from agents.collector.limits import Refused, Remembered
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
)

HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]+){1,3}-\d\.amazonaws\.com(\.cn)?")
NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
CONFIRMATIONS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})
FETCH_S = 5.0
CERTIFICATE_BYTES_MAX = 64 * 1024
CERTIFICATES_MAX = 16
KINDS = {"Delivery": "delivered", "Open": "opened", "Click": "clicked", "Complaint": "complained"}

Fetch = Callable[[str], Awaitable[bytes]]


def may_fetch(url: str) -> bool:
    """Say whether an address is Amazon's own SNS, over https: nothing else is ever asked."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and parts.port in {None, 443}
            and parts.username is None
            and HOST.fullmatch(parts.hostname or "") is not None
        )
    except ValueError:
        return False


async def fetch(url: str) -> bytes:
    """Fetch a certificate, or confirm a subscription; Refused where that fails."""
    found = bytearray()
    try:
        async with httpx.AsyncClient(timeout=FETCH_S, follow_redirects=False, trust_env=False) as client:
            async with client.stream("GET", url) as answer:
                async for chunk in answer.aiter_bytes():
                    found += chunk
                    if len(found) > CERTIFICATE_BYTES_MAX:
                        raise Refused(403, "certificate")
                if answer.status_code != httpx.codes.OK:
                    raise Refused(403, "certificate")
    except (httpx.HTTPError, OSError):
        # Not the caller's fault: it may tell again.
        raise Refused(425, "certificate") from None
    return bytes(found)


class Certificates:
    """Amazon's certificates by their address, those in their time alone."""

    def __init__(self, get: Fetch):
        self._get = get
        self._kept: dict[str, rsa.RSAPublicKey] = {}
        self._until = Remembered(CERTIFICATES_MAX)

    async def key(self, url: str, now_ms: int) -> rsa.RSAPublicKey:
        """Return the key of a certificate; Refused where its address is not Amazon's, or it is not valid now."""
        if not may_fetch(url) or not urlsplit(url).path.endswith(".pem"):
            raise Refused(403, "certificate")
        if url not in self._kept or now_ms > (self._until.get(url) or 0):
            self._kept[url] = self._read(url, await self._get(url), now_ms)
        return self._kept[url]

    def _read(self, url: str, raw: bytes, now_ms: int) -> rsa.RSAPublicKey:
        try:
            found = load_pem_x509_certificate(raw)
        except ValueError:
            raise Refused(403, "certificate") from None
        key, now = found.public_key(), datetime.fromtimestamp(now_ms / 1000, UTC)
        if not isinstance(key, rsa.RSAPublicKey) or not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            raise Refused(403, "certificate")
        if len(self._kept) >= CERTIFICATES_MAX:
            self._kept.clear()
        self._until.note(url, int(found.not_valid_after_utc.timestamp() * 1000))
        return key


def signed_text(message: dict[str, Any]) -> bytes:
    """Return what SNS has signed: names and values, a line each; a notification without a subject leaves it out."""
    names = CONFIRMATION if message.get("Type") in CONFIRMATIONS else NOTIFICATION
    return "".join(f"{name}\n{text(message[name])}\n" for name in names if name in message).encode()


def listener(topic_arn: str, get: Fetch = fetch) -> Listener:
    """Return the webhook for one SNS topic."""
    certificates = Certificates(get)

    async def listen(call: Call) -> Told:
        message = call.json(dict)
        if not same(text(message.get("TopicArn")), topic_arn):
            raise Refused(403, "topic")
        await _check(certificates, call.hub, message)
        once = text(message.get("MessageId"))
        if message.get("Type") in CONFIRMATIONS:
            url = text(message.get("SubscribeURL"))
            if message["Type"] != "SubscriptionConfirmation" or not may_fetch(url):
                raise Refused(403, "topic")
            await get(url)
            return Told(once)
        said = _said(call.hub, text(message.get("Message")), once)
        return Told(once, [heard_of(call.hub, said)] if said else [])

    return listen


async def _check(certificates: Certificates, hub: Hub, message: dict[str, Any]) -> None:
    if message.get("SignatureVersion") != "2":
        raise Refused(403, "signature_version")
    key = await certificates.key(text(message.get("SigningCertURL")), hub.clock_ms())
    try:
        raw = base64.b64decode(text(message.get("Signature")), validate=True)
        key.verify(raw, signed_text(message), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, binascii.Error):
        raise Refused(403, "signature") from None
    try:
        fresh(hub, int(datetime.fromisoformat(text(message.get("Timestamp"))).timestamp() * 1000))
    except (ValueError, OverflowError):
        raise Refused(403, "stale") from None


def _said(hub: Hub, raw: str, once: str) -> Said | None:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    what = text(part(event, "eventType")) or text(part(event, "notificationType"))
    about = about_of(hub, _reference(part(event, "mail")))
    kind = _kind(event, what)
    if about is None or kind is None:
        return None
    inner = part(event, what.lower())
    recipients = part(inner, "bouncedRecipients")
    first = recipients[0] if isinstance(recipients, list) and recipients else None
    return Said(
        about,
        kind,
        moment(hub, part(inner, "timestamp") or part(event, "mail", "timestamp")),
        f"ses/{once}",
        reason=text(part(first, "diagnosticCode")) or text(part(inner, "bounceSubType")),
        agent=text(part(inner, "userAgent")),
        url=text(part(inner, "link")),
    )


def _reference(mail: Any) -> str:
    """Return the tag that was sent along; SES gives a tag's values as a list."""
    found = part(mail, "tags", NAME)
    return text(found[0]) if isinstance(found, list) and found else ""


def _kind(event: Any, what: str) -> str | None:
    if what == "Bounce":
        return "bounced" if part(event, "bounce", "bounceType") == "Permanent" else "soft"
    if what == "Complaint" and part(event, "complaint", "complaintFeedbackType") == "not-spam":
        return None
    return KINDS.get(what)
