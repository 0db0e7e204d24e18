"""Firebase Cloud Messaging, HTTP v1.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send and .../fcm/rest/v1/ErrorCode
"""

import json
from typing import Any

import httpx

from agents.senders.providers.http import HttpProvider, by_status, json_of, post_json, text_of
from agents.senders.providers.oauth import ServiceAccount, TokenError
from agents.senders.providers.phone import seconds_left
from agents.senders.secrets import read_secret
from models.senders import FcmSpec
from pipeline.sending.mime import AddressError
from pipeline.sending.outcome import Message, Outcome

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
TTL_S_MAX = 2_419_200
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
SHOWN = ("title", "body", "image")
QUOTA_S = 60.0


class Fcm(HttpProvider):
    """Takes no idempotency key; a message that repeats another replaces it on the device (the collapse key)."""

    name = "fcm"

    def __init__(self, spec: FcmSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        document = read_secret(spec.service_account, "fcm.service_account")
        self._account = ServiceAccount(document, SCOPE, self.client)
        self._url = f"{spec.url}/v1/projects/{self._account.project}/messages:send"

    async def send(self, message: Message) -> Outcome:
        """Send with a token that is kept; a refused one is forgotten."""
        try:
            return await super().send(message)
        except TokenError as error:
            return error.outcome

    async def request(self, message: Message) -> httpx.Request:
        """Return one message to one device; all that is not shown goes along as data, in texts."""
        if message.address is None:
            raise AddressError("no device token")
        payload = message.payload or {}
        body: dict[str, Any] = {
            "token": message.address,
            "notification": {name: payload[name] for name in SHOWN if isinstance(payload.get(name), str)},
            "data": {"command": message.command} | {n: _text(v) for n, v in payload.items() if n not in SHOWN},
            "android": {"collapse_key": message.command},
        }
        left_s = seconds_left(message)
        if left_s is not None:
            body["android"]["ttl"] = f"{min(left_s, TTL_S_MAX)}s"
        token = await self._account.token()
        return post_json(self._url, {"message": body}, {"authorization": f"Bearer {token}"})

    def id_of(self, response: httpx.Response) -> str:
        """Return the message's name."""
        return text_of(response, "name")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Read FCM's error code, which stands among the details."""
        if response.is_success:
            return super().read(response, message)
        code = _code(json_of(response))
        said = f"{code} {text_of(response, 'error', 'message')}"
        outcome = by_status(response, said)
        if code == "UNREGISTERED":
            return Outcome("rejected", said, permanent=True)
        if code in {"SENDER_ID_MISMATCH", "THIRD_PARTY_AUTH_ERROR"}:
            # The token is of another project, or the app lacks its Apple or Web Push key: not to be sent as it is.
            return Outcome("rejected", said, permanent=code == "SENDER_ID_MISMATCH")
        if response.status_code == 401:
            self._account.forget()
        if code == "QUOTA_EXCEEDED":
            # Of the device as well as of the project: no reason to stop all others.
            return Outcome("retry", said, after_s=outcome.after_s or QUOTA_S)
        return outcome


def _code(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    if not isinstance(error, dict):
        return ""
    for one in error.get("details") or []:
        if isinstance(one, dict) and one.get("@type") == FCM_ERROR:
            return str(one.get("errorCode", ""))
    return str(error.get("status", ""))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
