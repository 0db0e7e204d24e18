"""Tokens for SASL OAUTHBEARER: from a file that something else renews, a token endpoint, or AWS for MSK's IAM.

aiokafka asks for a token at every connection that it makes. A broker ends a connection whose token has expired at its
next request; the client then connects again, with a new token.
"""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import SaslAuthenticationFailed

from pipeline.errors import UsageError

MECHANISM = "OAUTHBEARER"
TOKEN_FILE, TOKEN_URL, PROVIDER = "KAFKA_OAUTH_TOKEN_FILE", "KAFKA_OAUTH_TOKEN_URL", "KAFKA_OAUTH_PROVIDER"
REQUEST_S = 10.0
# A token is renewed when a fifth of its life is left; one that says nothing of its life is asked for each time.
LIFE_USED = 0.8
LOCAL = ("127.0.0.1", "localhost", "::1")
Get = Callable[[str], str | None]


class FileTokens(AbstractTokenProvider):
    """The token that a file holds now, as a Kubernetes service account's."""

    def __init__(self, file: str):
        self._file = Path(file)

    async def token(self) -> str:
        """Read the file."""
        return self._file.read_text().strip()


class KeptTokens(AbstractTokenProvider):
    """Asks for a token when the one at hand nears its end; the clients of a process share it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._token = ""
        self._until = 0.0

    async def token(self) -> str:
        """Return a token that is good for a while."""
        now = self._clock()
        if now >= self._until:
            self._token, life_s = await self.ask()
            self._until = now + life_s * LIFE_USED
        return self._token

    @abstractmethod
    async def ask(self) -> tuple[str, float]:
        """Return a new token and its life in seconds."""


class EndpointTokens(KeptTokens):
    """Client credentials at a token endpoint (RFC 6749, section 4.4)."""

    def __init__(self, url: str, client: str, secret: str, scope: str | None):
        super().__init__()
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
            raise UsageError(f"{TOKEN_URL} is {url}: the client's secret goes there, so it must be https")
        self._url, self._credentials = url, (client, secret)
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}

    async def ask(self) -> tuple[str, float]:
        """Ask the endpoint; what it refuses is a failed login, which clients try again."""
        try:
            async with httpx.AsyncClient(timeout=REQUEST_S) as client:
                answer = await client.post(self._url, data=self._form, auth=self._credentials)
            answer.raise_for_status()
            body: dict[str, Any] = answer.json()
            return str(body["access_token"]), float(body.get("expires_in", 0))
        except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            raise SaslAuthenticationFailed(f"no token from {self._url}: {type(error).__name__} {error}") from None


class MskTokens(KeptTokens):
    """A signed request of AWS's IAM, as Amazon MSK takes it; AWS's own chain finds the credentials."""

    def __init__(self, region: str):
        super().__init__()
        try:
            from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
        except ImportError:
            raise UsageError("KAFKA_OAUTH_PROVIDER=msk needs the extra `msk`: pip install 'parcours[msk]'") from None
        self._sign = MSKAuthTokenProvider.generate_auth_token
        self._region = region

    async def ask(self) -> tuple[str, float]:
        """Sign in a thread: finding the credentials may ask AWS."""
        try:
            token, expires_ms = await asyncio.to_thread(self._sign, self._region)
        except Exception as error:  # noqa: BLE001 - the signer raises bare Exceptions and botocore's own
            raise SaslAuthenticationFailed(f"AWS gave no credentials: {type(error).__name__} {error}") from None
        return token, expires_ms / 1000 - self._clock()


# By their settings: what was asked for serves every client of the process.
_kept: dict[tuple[str | None, ...], AbstractTokenProvider] = {}


def token_provider(get: Get, path: Get) -> AbstractTokenProvider:
    """Return the provider that the settings name; UsageError where they name none, or more than one.

    Args:
        get: A setting by its name.
        path: The path of a file by its setting's name.
    """
    file, url, provider = path(TOKEN_FILE), get(TOKEN_URL), get(PROVIDER)
    if sum(one is not None for one in (file, url, provider)) != 1:
        raise UsageError(f"OAUTHBEARER needs one of {TOKEN_FILE}, {TOKEN_URL} and {PROVIDER}=msk")
    if file is not None:
        return FileTokens(file)
    key, make = _asked(url, provider, get)
    if key not in _kept:
        _kept[key] = make()
    return _kept[key]


def _asked(
    url: str | None, provider: str | None, get: Get
) -> tuple[tuple[str | None, ...], Callable[[], AbstractTokenProvider]]:
    if url is not None:
        client, secret = get("KAFKA_OAUTH_CLIENT_ID"), get("KAFKA_OAUTH_CLIENT_SECRET")
        if client is None or secret is None:
            raise UsageError(f"{TOKEN_URL} needs KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET")
        scope = get("KAFKA_OAUTH_SCOPE")
        return (url, client, secret, scope), lambda: EndpointTokens(url, client, secret, scope)
    if provider != "msk":
        raise UsageError(f"{PROVIDER} is {provider!r}: msk is the one there is")
    region = get("AWS_REGION") or get("AWS_DEFAULT_REGION")
    if region is None:
        raise UsageError(f"{PROVIDER}=msk needs AWS_REGION")
    return (provider, region), lambda: MskTokens(region)
