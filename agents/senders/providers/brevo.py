"""Brevo, v3.

https://developers.brevo.com/reference/send-transac-email and .../docs/heterogenous-versions-batch-emails (idempotency)
"""

import uuid

import httpx

from agents.senders.providers.http import RETRY_AFTER_S_MAX, HttpProvider, json_of, post_json, text_of
from agents.senders.providers.mail import REFERENCE, address_of, headers_of, sender_of
from agents.senders.secrets import read_secret
from models.senders import BrevoSpec
from pipeline.sending.outcome import Message, Outcome

# Brevo has said 30 minutes and, before that, 15: the shorter is safe.
KEY_HOLDS_MS = 15 * 60_000
NAMESPACE = uuid.UUID("6f8b0a52-2f6f-5d5b-9a8e-2f1d5f3e7c11")


class Brevo(HttpProvider):
    """Takes a UUID made of the command id as a key, for 15 minutes."""

    name = "brevo"
    idempotent = True
    key_holds_ms = KEY_HOLDS_MS

    def __init__(self, spec: BrevoSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/v3/smtp/email"
        self._headers = {"accept": "application/json", "api-key": read_secret(spec.api_key, "brevo.api_key")}

    async def request(self, message: Message) -> httpx.Request:
        """Return one email; the key stands among the mail's headers."""
        name, address = sender_of(message)
        headers = {**headers_of(message), "idempotencyKey": str(uuid.uuid5(NAMESPACE, message.command))}
        if message.reference:
            headers["X-Mailin-custom"] = f"{REFERENCE}={message.reference}"
        body = {
            "sender": {"email": address} | ({"name": name} if name else {}),
            "to": [{"email": address_of(message)}],
            "subject": message.subject,
            "textContent": message.text,
            "htmlContent": message.html,
            "headers": headers,
        }
        if message.reply_to:
            body["replyTo"] = {"email": message.reply_to}
        return post_json(self._url, body, self._headers)

    def id_of(self, response: httpx.Response) -> str:
        """Return Brevo's message id."""
        return text_of(response, "messageId")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """A key that Brevo knows already says that an earlier call of this command was taken."""
        code = json_of(response).get("code")
        if code == "duplicate_parameter":
            return Outcome("accepted", "taken before under this key")
        outcome = super().read(response, message)
        if code in {"not_enough_credits", "account_under_validation", "permission_denied"}:
            return Outcome("retry", outcome.reason, trouble=True)
        reset = response.headers.get("x-sib-ratelimit-reset", "")
        if response.status_code == 429 and reset.isdigit() and not outcome.after_s:
            return Outcome("retry", outcome.reason, after_s=min(float(reset), RETRY_AFTER_S_MAX), trouble=True)
        return outcome
