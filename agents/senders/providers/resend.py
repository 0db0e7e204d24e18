"""Resend.

https://resend.com/docs/api-reference/emails/send-email, .../errors and .../dashboard/emails/idempotency-keys
"""

import httpx

from agents.senders.providers.http import HttpProvider, json_of, post_json, text_of
from agents.senders.providers.mail import address_of, handed_back, headers_of, sender_of
from agents.senders.secrets import read_secret
from models.senders import ResendSpec
from pipeline.sending.outcome import Message, Outcome

KEY_HOLDS_MS = 24 * 3_600_000


class Resend(HttpProvider):
    """Takes the command id as a key and keeps it for 24 hours."""

    name = "resend"
    idempotent = True
    key_holds_ms = KEY_HOLDS_MS

    def __init__(self, spec: ResendSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/emails"
        self._authorization = f"Bearer {read_secret(spec.api_key, 'resend.api_key')}"

    async def request(self, message: Message) -> httpx.Request:
        """Return one email under the command's key."""
        sender_of(message)
        body = {
            "from": message.sender,
            "to": [address_of(message)],
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "headers": headers_of(message),
            "tags": [{"name": name, "value": text} for name, text in handed_back(message).items() if len(text) <= 256],
        }
        if message.reply_to:
            body["reply_to"] = message.reply_to
        return post_json(self._url, body, {"authorization": self._authorization, "idempotency-key": message.command})

    def id_of(self, response: httpx.Response) -> str:
        """Return Resend's id."""
        return text_of(response, "id")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """A key in use is tried again; one that came with another content says that an earlier call was taken."""
        kind = json_of(response).get("name")
        if kind == "concurrent_idempotent_requests":
            return Outcome("unknown", "409 the first call with this key is still under way", after_s=1.0)
        if kind == "invalid_idempotent_request":
            return Outcome("unknown", "409 the key was used with another content", repeatable=False)
        return super().read(response, message)
