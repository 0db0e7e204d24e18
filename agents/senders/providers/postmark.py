"""Postmark.

https://postmarkapp.com/developer/api/email-api and .../api/overview#error-codes
"""

import httpx

from agents.senders.providers.http import HttpProvider, by_status, json_of, post_json, text_of
from agents.senders.providers.mail import REFERENCE, address_of, handed_back, headers_of, sender_of
from agents.senders.secrets import read_secret
from models.senders import PostmarkSpec
from pipeline.sending.outcome import Message, Outcome

INACTIVE_RECIPIENT = 406
VALUE_CHARS_MAX = 80
# Sender signature not found or not confirmed, no credits left, account pending, under maintenance.
ACCOUNT = frozenset({100, 400, 401, 405, 412, 413})


def metadata_of(message: Message) -> dict[str, str]:
    """Return what is handed back; a value has room for 80 characters, so the reference goes in parts."""
    found = handed_back(message)
    whole = found.pop(REFERENCE, "")
    parts = [whole[start : start + VALUE_CHARS_MAX] for start in range(0, len(whole), VALUE_CHARS_MAX)]
    names = [REFERENCE, *(f"{REFERENCE}-{number}" for number in range(2, len(parts) + 1))]
    return found | dict(zip(names, parts, strict=False))


class Postmark(HttpProvider):
    """Takes no idempotency key."""

    name = "postmark"

    def __init__(self, spec: PostmarkSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/email"
        self._streams = {True: spec.marketing_stream, False: spec.transactional_stream}
        self._headers = {
            "accept": "application/json",
            "x-postmark-server-token": read_secret(spec.token, "postmark.token"),
        }

    async def request(self, message: Message) -> httpx.Request:
        """Return one email."""
        sender_of(message)
        body = {
            "From": message.sender,
            "To": address_of(message),
            "Subject": message.subject,
            "TextBody": message.text,
            "HtmlBody": message.html,
            "Headers": [{"Name": name, "Value": text} for name, text in headers_of(message).items()],
            "Metadata": metadata_of(message),
            "MessageStream": self._streams[message.marketing],
        }
        if message.reply_to:
            body["ReplyTo"] = message.reply_to
        return post_json(self._url, body, self._headers)

    def id_of(self, response: httpx.Response) -> str:
        """Return Postmark's message id."""
        return text_of(response, "MessageID")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Read the error code, which says more than the status."""
        code = json_of(response).get("ErrorCode", 0)
        said = f"{code} {text_of(response, 'Message')}"
        if response.is_success and code == 0:
            return super().read(response, message)
        if code == INACTIVE_RECIPIENT:
            return Outcome("rejected", said, permanent=True)
        if code in ACCOUNT:
            return Outcome("retry", said, after_s=by_status(response, said).after_s, trouble=True)
        if response.is_success:
            return Outcome("rejected", said)
        return by_status(response, said)
