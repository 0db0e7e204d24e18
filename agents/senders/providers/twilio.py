"""Twilio, 2010-04-01.

https://www.twilio.com/docs/messaging/api/message-resource and .../docs/api/errors
"""

import httpx

from agents.senders.providers.http import HttpProvider, by_status, json_of, post, text_of
from agents.senders.providers.phone import number_of, seconds_left
from agents.senders.secrets import read_secret
from models.senders import TwilioSpec
from pipeline.sending.outcome import Message, Outcome

VALIDITY_S_MAX = 36_000
# The number is none, cannot take text messages, or its owner said STOP.
STOPPED = 21610
DEAD_NUMBER = frozenset({21211, 21214, 21217, 21610, 21614})
# The sender's queue is full, the account's limit for the day or its rate is reached.
LATER = frozenset({20429, 21611, 30001, 30022, 63018, 63038})


class Twilio(HttpProvider):
    """Takes no idempotency key."""

    name = "twilio"

    def __init__(self, spec: TwilioSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/2010-04-01/Accounts/{spec.account_sid}/Messages.json"
        self._authorization = httpx.BasicAuth(spec.account_sid, read_secret(spec.auth_token, "twilio.auth_token"))
        service = spec.messaging_service_sid
        self._from = {"MessagingServiceSid": service} if service else {"From": spec.sender or ""}

    async def request(self, message: Message) -> httpx.Request:
        """Return one message, not to be delivered after its time."""
        fields = {"To": number_of(message), **self._from, "Body": message.text}
        left_s = seconds_left(message)
        if left_s is not None:
            fields["ValidityPeriod"] = str(min(left_s, VALIDITY_S_MAX))
        if message.reference and message.collector_url:
            fields["StatusCallback"] = f"{message.collector_url}/webhooks/twilio?ref={message.reference}"
        content = str(httpx.QueryParams(fields)).encode()
        request = post(self._url, content, {"content-type": "application/x-www-form-urlencoded"})
        return next(self._authorization.auth_flow(request))

    def id_of(self, response: httpx.Response) -> str:
        """Return the message's SID."""
        return text_of(response, "sid")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Read the error code, which says more than the status."""
        if response.is_success:
            return super().read(response, message)
        code = json_of(response).get("code")
        said = f"{code} {text_of(response, 'message')}"
        if code in LATER:
            return Outcome("retry", said, after_s=by_status(response, said).after_s, trouble=True)
        outcome = by_status(response, said)
        if outcome.state == "rejected":
            return Outcome("rejected", outcome.reason, permanent=code in DEAD_NUMBER, stopped=code == STOPPED)
        return outcome
