"""SendGrid, mail send v3.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
"""

import time

import httpx

from agents.senders.providers.http import RETRY_AFTER_S_MAX, HttpProvider, json_of, post_json
from agents.senders.providers.mail import address_of, handed_back, headers_of, sender_of
from agents.senders.secrets import read_secret
from models.senders import SendGridSpec
from pipeline.sending.outcome import Message, Outcome


class SendGrid(HttpProvider):
    """Takes no idempotency key."""

    name = "sendgrid"

    def __init__(self, spec: SendGridSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/v3/mail/send"
        self._headers = {"authorization": f"Bearer {read_secret(spec.api_key, 'sendgrid.api_key')}"}

    async def request(self, message: Message) -> httpx.Request:
        """Return a mail send to one person."""
        name, address = sender_of(message)
        body = {
            "personalizations": [{"to": [{"email": address_of(message)}]}],
            "from": {"email": address} | ({"name": name} if name else {}),
            "subject": message.subject,
            "content": [
                {"type": "text/plain", "value": message.text},
                {"type": "text/html", "value": message.html},
            ],
            "headers": headers_of(message),
            "custom_args": handed_back(message),
        }
        if message.reply_to:
            body["reply_to"] = {"email": message.reply_to}
        return post_json(self._url, body, self._headers)

    def id_of(self, response: httpx.Response) -> str:
        """Return the id that stands in a header."""
        return str(response.headers.get("x-message-id", ""))[:200]

    def reason_of(self, response: httpx.Response) -> str:
        """Return what the errors say."""
        found = json_of(response).get("errors") or [{}]
        return "; ".join(f"{one.get('field') or ''} {one.get('message', '')}".strip() for one in found[:3])

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Take the time of X-RateLimit-Reset (UTC seconds) where there is no Retry-After."""
        outcome = super().read(response, message)
        reset = response.headers.get("x-ratelimit-reset", "")
        if response.status_code != 429 or outcome.after_s or not reset.isdigit():
            return outcome
        wait_s = min(max(int(reset[:12]) - time.time(), 1.0), RETRY_AFTER_S_MAX)
        return Outcome("retry", outcome.reason, after_s=wait_s, trouble=True)
