"""One call over HTTP, and what its failure or its answer says, where a provider says nothing else.

| what happens | outcome |
|---|---|
| no connection, name unknown, too late | retry: nothing was handed over |
| cut off or silent after the request | unknown |
| 2xx | accepted |
| 3xx, 401, 403: a wrong address, or it knows us no more | retry, trouble: no message's fault, none is dropped |
| 408, 425, 429, 503 | retry after Retry-After, trouble |
| other 5xx | unknown, trouble: it may have been taken |
| other 4xx | rejected |
"""

import email.utils
import ssl
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
import orjson

from agents.senders.providers.net import (
    USER_AGENT,
    ForbiddenAddressError,
    TooLateError,
    call_by,
    http_client,
    too_late,
)
from models.senders import ProviderSpec
from pipeline.sending.outcome import Message, Outcome

LATER = frozenset({408, 425, 429, 503})
UNKNOWN_TO_IT = frozenset({401, 403})
RETRY_AFTER_S_MAX = 3_600.0
REASON_CHARS = 200
SOON_S = 0.1
# Before these the request has not left: nobody can have taken it.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
UNSENT_BELOW = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    ForbiddenAddressError,
    ssl.SSLCertVerificationError,
)


class HttpProvider:
    """What the providers over HTTP share: a client, a call, and the reading of an answer by its status."""

    name = ""
    idempotent = False
    key_holds_ms = 0
    needs_address = True

    def __init__(self, spec: ProviderSpec, client: httpx.AsyncClient | None = None):
        self.at_once = spec.at_once
        self.rate = spec.rate
        self.client: httpx.AsyncClient = client or http_client(spec)

    async def send(self, message: Message) -> Outcome:
        """Make one call and say what came of it."""
        return await self.exchange(await self.request(message), message)

    async def request(self, message: Message) -> httpx.Request:
        """Return the call of a message; MimeError where there is none."""
        raise NotImplementedError

    async def exchange(self, request: httpx.Request, message: Message) -> Outcome:
        """Call, and read the answer."""
        call_by.set(message.call_by)
        if too_late():
            return too_late_outcome()
        request.extensions = {**request.extensions, "timeout": self.client.timeout.as_dict()}
        try:
            response = await self.client.send(request)
        except TooLateError:
            return too_late_outcome()
        except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
            return failed(error)
        return self.read(response, message)

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Say what an answer means."""
        if response.is_success:
            return Outcome("accepted", provider_id=self.id_of(response))
        return by_status(response, self.reason_of(response))

    def id_of(self, response: httpx.Response) -> str:
        """Return the message's name at the provider."""
        raise NotImplementedError

    def reason_of(self, response: httpx.Response) -> str:
        """Return why a call was refused."""
        return text_of(response, "message")

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def too_late_outcome() -> Outcome:
    """Return the outcome of a message whose check held no longer when it was to be handed over."""
    return Outcome("retry", "too late for this check: checked again", after_s=SOON_S)


def failed(error: Exception) -> Outcome:
    """Return the outcome of a call without an answer: nothing left, or nobody knows."""
    below = error.__cause__ or error
    if isinstance(below, aiohttp.ClientError | OSError):
        unsent = isinstance(below, UNSENT_BELOW)
    else:
        unsent = isinstance(error, UNSENT)
    name = type(below).__name__
    if unsent:
        return Outcome("retry", f"not connected: {name}", trouble=True)
    return Outcome("unknown", f"no answer after the request: {name}", trouble=True)


def by_status(response: httpx.Response, reason: str) -> Outcome:
    """Return the outcome of a refusal by its status alone."""
    status = response.status_code
    said = f"{status} {reason}".strip()[:REASON_CHARS]
    if status in LATER:
        return Outcome("retry", said, after_s=retry_after_s(response), trouble=True)
    if status in UNKNOWN_TO_IT:
        return Outcome("retry", f"the provider refuses our credentials: {said}", trouble=True)
    if status < 400:
        return Outcome("retry", f"the provider is elsewhere: {said}", trouble=True)
    if status >= 500:
        return Outcome("unknown", said, trouble=True)
    return Outcome("rejected", said)


def retry_after_s(response: httpx.Response) -> float:
    """Return what Retry-After says in seconds (a number or a date), one hour at most; 0 where it says nothing."""
    text = response.headers.get("retry-after", "").strip()
    try:
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), RETRY_AFTER_S_MAX)
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), RETRY_AFTER_S_MAX)


def json_of(response: httpx.Response) -> dict[str, Any]:
    """Return an answer's object; empty where it is none."""
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def text_of(response: httpx.Response, *path: str) -> str:
    """Return a text of an answer by its path, cut; empty where it is not there."""
    found: Any = json_of(response)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if found is None or isinstance(found, dict | list):
        return ""
    return "".join(char if char.isprintable() else " " for char in str(found))[:REASON_CHARS]


def post_json(url: str, body: Any, headers: dict[str, str]) -> httpx.Request:
    """Return a POST of JSON."""
    return post(url, orjson.dumps(body), {"content-type": "application/json", **headers})


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    """Most providers are called at one address: taking it apart for each message is a tenth of a call's CPU."""
    return httpx.URL(text)


def post(url: str, content: bytes, headers: dict[str, str]) -> httpx.Request:
    """Return a POST."""
    return httpx.Request("POST", _url(url), content=content, headers={"user-agent": USER_AGENT, **headers})
