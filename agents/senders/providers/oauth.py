"""Access tokens of a Google service account (RFC 7523), fetched once and kept until shortly before they end.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import asyncio
import json
import time

import httpx
import jwt
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from agents.senders.providers.http import failed, json_of
from pipeline.errors import UsageError
from pipeline.sending.outcome import Outcome

LIFE_S = 3_600
EARLY_S = 300
TRIES = 3
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class _PassingError(Exception):
    """The token's server is away for the moment."""


class TokenError(Exception):
    """There is no token: the outcome says what that means for the message."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome.reason)
        self.outcome = outcome


class ServiceAccount:
    """One service account's tokens for one scope."""

    def __init__(self, document: str, scope: str, client: httpx.AsyncClient):
        try:
            said = json.loads(document)
            self.project = str(said["project_id"])
            self._email, self._key = said["client_email"], said["private_key"]
            self._key_id, self._url = said["private_key_id"], said["token_uri"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"fcm.service_account is no service account's JSON: {type(error).__name__}") from None
        self._scope = scope
        self._client = client
        self._token: tuple[str, float] | None = None
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that is still good; TokenError where there is none."""
        async with self._fetching:
            if self._token is None or self._token[1] <= time.monotonic():
                self._token = await self._fetch()
            return self._token[0]

    def forget(self) -> None:
        """Fetch a new token for the next message: this one was refused."""
        self._token = None

    async def _fetch(self) -> tuple[str, float]:
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(TRIES),
                wait=wait_exponential_jitter(multiplier=0.2, max=2),
                retry=retry_if_exception_type(_PassingError),
                reraise=True,
            ):
                with attempt:
                    response = await self._ask()
        except _PassingError as error:
            raise TokenError(Outcome("retry", f"no access token: {error}", trouble=True)) from None
        found = json_of(response)
        if not response.is_success or "access_token" not in found:
            reason = found.get("error_description") or found.get("error") or response.status_code
            raise TokenError(Outcome("retry", f"no access token: {reason}"[:200], trouble=True))
        return found["access_token"], time.monotonic() + float(found.get("expires_in", LIFE_S)) - EARLY_S

    async def _ask(self) -> httpx.Response:
        now = int(time.time())
        claims = {
            "iss": self._email,
            "scope": self._scope,
            "aud": self._url,
            "iat": now,
            "exp": now + LIFE_S,
        }
        assertion = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})
        try:
            response = await self._client.post(self._url, data={"grant_type": GRANT, "assertion": assertion})
        except (httpx.TransportError, OSError) as error:
            raise _PassingError(failed(error).reason) from None
        if response.status_code >= 500 or response.status_code == 429:
            raise _PassingError(str(response.status_code))
        return response
