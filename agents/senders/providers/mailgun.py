"""Mailgun, v3: the whole mail as it is.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
"""

import httpx

from agents.senders.providers.http import HttpProvider, text_of
from agents.senders.providers.mail import address_of, handed_back, sender_of
from agents.senders.providers.net import USER_AGENT
from agents.senders.secrets import read_secret
from models.senders import MailgunSpec
from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message, Outcome


class Mailgun(HttpProvider):
    """Takes no idempotency key."""

    name = "mailgun"

    def __init__(self, spec: MailgunSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/v3/{spec.domain}/messages.mime"
        key = read_secret(spec.api_key, "mailgun.api_key")
        self._authorization = httpx.BasicAuth("api", key)

    async def request(self, message: Message) -> httpx.Request:
        """Return a form with the address, the mail, and what is to be handed back."""
        sender_of(message)
        fields = {"to": address_of(message), **{f"v:{name}": text for name, text in handed_back(message).items()}}
        mail = to_mime(message)
        request = httpx.Request(
            "POST",
            self._url,
            data=fields,
            files={"message": ("message.eml", mail, "message/rfc822")},
            headers={"user-agent": USER_AGENT},
        )
        await request.aread()
        return next(self._authorization.auth_flow(request))

    def id_of(self, response: httpx.Response) -> str:
        """Return Mailgun's message id."""
        return text_of(response, "id")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """A domain that Mailgun does not know is no message's fault."""
        outcome = super().read(response, message)
        if response.status_code in {402, 404}:
            return Outcome("retry", outcome.reason, trouble=True)
        return outcome
