"""Apple Push Notification service: HTTP/2, by token.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns and
.../handling-notification-responses-from-apns
"""

import re
import time
import uuid

import httpx
import jwt

from agents.senders.providers.http import HttpProvider, by_status, post_json, text_of
from agents.senders.providers.net import http2_client
from agents.senders.secrets import read_secret
from models.senders import ApnsSpec
from pipeline.sending.mime import AddressError
from pipeline.sending.outcome import Message, Outcome

TOKEN = re.compile(r"[0-9a-fA-F]{64,200}")
# Apple takes a token for an hour, and refuses more than one a 20 minutes.
TOKEN_S = 3_000.0
COLLAPSE_BYTES_MAX = 64
NAMESPACE = uuid.UUID("0d6c4f6e-91b2-5e0b-8f43-6f0b7a7f4c02")
DEAD_TOKEN = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "ExpiredToken", "Unregistered"})
OUR_TOKEN = frozenset({"ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken"})
# "After 15 minutes you can retry payloads that receive status codes that begin with 5xx": these few were not taken.
NOT_TAKEN = frozenset({"ServiceUnavailable", "Shutdown"})


class Apns(HttpProvider):
    """Takes no idempotency key; a notification that repeats another replaces it on the device (the collapse id)."""

    name = "apns"

    def __init__(self, spec: ApnsSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client or http2_client(spec))
        self._spec = spec
        self._key = read_secret(spec.key, "apns.key")
        self._token: tuple[str, float] | None = None

    def _provider_token(self) -> str:
        now = time.monotonic()
        if self._token is None or self._token[1] <= now:
            claims = {"iss": self._spec.team_id, "iat": int(time.time())}
            made = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._spec.key_id})
            self._token = (made, now + TOKEN_S)
        return self._token[0]

    async def request(self, message: Message) -> httpx.Request:
        """Return one notification; what is not shown goes beside `aps`."""
        if message.address is None or not TOKEN.fullmatch(message.address):
            raise AddressError("not a device token of Apple's")
        payload = message.payload or {}
        shown = {"title": message.subject, "body": message.text}
        body = {name: value for name, value in payload.items() if name not in {"title", "body", "aps"}}
        body |= {"aps": {"alert": shown, "sound": "default"}, "command": message.command}
        headers = {
            "authorization": f"bearer {self._provider_token()}",
            "apns-topic": self._spec.topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-id": str(uuid.uuid5(NAMESPACE, message.command)),
            "apns-collapse-id": message.command[:COLLAPSE_BYTES_MAX],
            "apns-expiration": str(message.valid_until // 1000),
        }
        return post_json(f"{self._spec.url}/3/device/{message.address}", body, headers)

    def id_of(self, response: httpx.Response) -> str:
        """Return the notification's id."""
        return str(response.headers.get("apns-id", ""))[:200]

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Read the reason, which says more than the status."""
        if response.is_success:
            return super().read(response, message)
        reason = text_of(response, "reason")
        said = f"{response.status_code} {reason}"
        if reason in DEAD_TOKEN:
            return Outcome("rejected", said, permanent=True)
        if reason in OUR_TOKEN:
            self._token = None
        if reason in NOT_TAKEN:
            return Outcome("retry", said, after_s=by_status(response, said).after_s, trouble=True)
        if reason == "TooManyRequests":
            # For this device alone.
            return Outcome("retry", said, after_s=by_status(response, said).after_s)
        return by_status(response, reason)
