"""Vonage, Messages API v1.

https://developer.vonage.com/en/api/messages and .../en/api-errors/messages
"""

import httpx

from agents.senders.providers.http import HttpProvider, by_status, json_of, post_json, text_of
from agents.senders.providers.phone import number_of, seconds_left
from agents.senders.secrets import read_secret
from models.senders import VonageSpec
from pipeline.sending.outcome import Message, Outcome

TTL_S_MIN, TTL_S_MAX = 1_800, 259_200
REFERENCE_CHARS_MAX = 100


class Vonage(HttpProvider):
    """Takes no idempotency key."""

    name = "vonage"

    def __init__(self, spec: VonageSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._url = f"{spec.url}/v1/messages"
        self._from = spec.sender.removeprefix("+")
        key, secret = read_secret(spec.api_key, "vonage.api_key"), read_secret(spec.api_secret, "vonage.api_secret")
        self._authorization = httpx.BasicAuth(key, secret)

    async def request(self, message: Message) -> httpx.Request:
        """Return one text message; numbers go without their plus."""
        body: dict[str, str | int] = {
            "channel": "sms",
            "message_type": "text",
            "to": number_of(message).removeprefix("+"),
            "from": self._from,
            "text": message.text,
            "client_ref": message.command[:REFERENCE_CHARS_MAX],
        }
        if message.reference and message.collector_url:
            body["webhook_url"] = f"{message.collector_url}/webhooks/vonage?ref={message.reference}"
            body["webhook_version"] = "v1"
        left_s = seconds_left(message)
        if left_s is not None:
            body["ttl"] = min(max(left_s, TTL_S_MIN), TTL_S_MAX)
        request = post_json(self._url, body, {"accept": "application/json"})
        return next(self._authorization.auth_flow(request))

    def id_of(self, response: httpx.Response) -> str:
        """Return the message's UUID."""
        return text_of(response, "message_uuid")

    def reason_of(self, response: httpx.Response) -> str:
        """Return what the problem says."""
        return f"{text_of(response, 'title')}: {text_of(response, 'detail')}"

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """No credit is no message's fault; a number that is none stays one."""
        if response.status_code == 402:
            return Outcome("retry", f"402 {self.reason_of(response)}", trouble=True)
        if response.status_code == 422:
            wrong = json_of(response).get("invalid_parameters") or []
            names = [one.get("name") for one in wrong if isinstance(one, dict)]
            outcome = by_status(response, self.reason_of(response))
            return Outcome("rejected", outcome.reason, permanent="to" in names)
        return super().read(response, message)
