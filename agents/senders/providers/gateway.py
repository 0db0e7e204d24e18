"""Any HTTP gateway for text messages: a POST of JSON with `id`, `to`, `from` and `text`, answered with 2xx.

An answer's `id` or `message_id` names the message; its `error` or `message` says why it was refused.
"""

import httpx

from agents.senders.providers.http import HttpProvider, post_json, text_of
from agents.senders.providers.phone import number_of
from agents.senders.secrets import read_secret
from models.senders import GatewaySpec
from pipeline.sending.outcome import Message


class Gateway(HttpProvider):
    """Idempotent where the settings name the header that the gateway takes as a key."""

    name = "gateway"

    def __init__(self, spec: GatewaySpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._spec = spec
        self.idempotent = spec.idempotency_header is not None
        self._headers = {"authorization": f"Bearer {read_secret(spec.token, 'gateway.token')}"} if spec.token else {}

    async def request(self, message: Message) -> httpx.Request:
        """Return one text message."""
        body = {"id": message.command, "to": number_of(message), "text": message.text}
        if self._spec.sender:
            body["from"] = self._spec.sender
        headers = dict(self._headers)
        if self._spec.idempotency_header:
            headers[self._spec.idempotency_header] = message.command
        return post_json(self._spec.url, body, headers)

    def id_of(self, response: httpx.Response) -> str:
        """Return the gateway's name of the message, if it has one."""
        return text_of(response, "id") or text_of(response, "message_id")

    def reason_of(self, response: httpx.Response) -> str:
        """Return what the gateway says."""
        return text_of(response, "error") or text_of(response, "message")
