"""Login by OpenID Connect: the authorization code flow with PKCE, by Authlib.

Roles come from a claim of the provider's token (`groups` by default) by the map of the settings. Somebody who has none
of its groups is not let in.
"""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from itsdangerous import BadData, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from agents.console.access import Access
from agents.console.audit import Audit, entry
from agents.console.guard import text_of
from agents.console.tokens import NAME_CHARS_MAX, Person, checked_roles
from agents.senders.secrets import read_secret
from models.console import OidcSpec

FLOW = "parcours-oidc"
FLOW_S = 600
ALGORITHMS = ["RS256", "ES256", "PS256", "RS512", "ES384"]
TIMEOUT_S = 10
LEEWAY_S = 60


def person_of(settings: OidcSpec, claims: Mapping[str, Any]) -> Person | None:
    """Return who the claims speak of, None where no group of theirs has a role."""
    said = claims.get(settings.claim) or []
    groups = said if isinstance(said, list) else [said]
    roles = [role for group in groups for role in settings.roles.get(str(group), ())]
    name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
    return Person(name[:NAME_CHARS_MAX], checked_roles(roles)) if roles else None


class Oidc:
    """The three steps: to the provider, back from it, the token checked."""

    def __init__(self, settings: OidcSpec, client_secret: str, url: str, access: Access, audit: Audit):
        self.settings = settings
        self._client_secret = client_secret
        self._url = url.rstrip("/")
        self._audit = audit
        self.sessions = access.sessions
        self._signer = URLSafeTimedSerializer(access.secret, salt="parcours-oidc")
        self._metadata: dict[str, Any] | None = None

    async def _provider(self) -> dict[str, Any]:
        if self._metadata is None:
            place = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
                answer = await client.get(place)
                answer.raise_for_status()
                found = answer.json()
            if found.get("issuer") != self.settings.issuer:
                raise ValueError("the provider names another issuer than the settings")
            self._metadata = found
        return self._metadata

    def _here(self, request: Request) -> str:
        return f"{self._url or str(request.base_url).rstrip('/')}/oidc/back"

    def routes(self) -> list[Route]:
        """Return the routes, which need no session."""
        return [Route("/oidc/go", self.go), Route("/oidc/back", self.back)]

    async def go(self, request: Request) -> Response:
        """Send the browser to the provider; what the answer must match is kept in a signed cookie."""
        try:
            provider = await self._provider()
        except (httpx.HTTPError, ValueError):
            return PlainTextResponse("503: the login provider does not answer\n", 503)
        kept = {name: secrets.token_urlsafe(48) for name in ("verifier", "nonce", "state")}
        place = prepare_grant_uri(
            provider["authorization_endpoint"],
            self.settings.client_id,
            "code",
            self._here(request),
            self.settings.scope,
            kept["state"],
            nonce=kept["nonce"],
            code_challenge=create_s256_code_challenge(kept["verifier"]),
            code_challenge_method="S256",
        )
        response = RedirectResponse(place, 303)
        # Lax: the provider sends the browser back from its own site.
        value = text_of(self._signer.dumps(kept))
        secure = self.sessions.secure
        response.set_cookie(FLOW, value, max_age=FLOW_S, httponly=True, samesite="lax", secure=secure, path="/oidc/")
        return response

    async def back(self, request: Request) -> Response:
        """Take the provider's answer: only one that this browser asked for, signed by the provider, for us."""
        try:
            kept = self._signer.loads(request.cookies.get(FLOW, ""), max_age=FLOW_S)
            if not secrets.compare_digest(request.query_params.get("state", ""), kept["state"]):
                raise ValueError("not the state that was sent")
            claims = await self._claims(request, kept)
        except (BadData, AuthlibBaseError, JoseError, httpx.HTTPError, ValueError, KeyError):
            return PlainTextResponse("401: the login did not succeed\n", 401)
        person = person_of(self.settings, claims)
        if person is None:
            return PlainTextResponse("403: your groups have no role here\n", 403)
        await run_in_threadpool(self._audit.write, entry(person.name, "sign in", "", "by the login provider"))
        # A page of our own that goes on: the strict cookie is not sent on a redirect that another site began.
        response = Response(
            '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0;url=/"><title>Parcours</title>'
            '<a href="/">Parcours</a></html>',
            media_type="text/html",
        )
        self.sessions.begin(response, person)
        response.delete_cookie(FLOW, path="/oidc/")
        return response

    async def _claims(self, request: Request, kept: Mapping[str, str]) -> Mapping[str, Any]:
        provider = await self._provider()
        asked = {
            "grant_type": "authorization_code",
            "code": request.query_params.get("code", ""),
            "redirect_uri": self._here(request),
            "code_verifier": kept["verifier"],
        }
        who = httpx.BasicAuth(quote_plus(self.settings.client_id), quote_plus(self._client_secret))
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.post(provider["token_endpoint"], data=asked, auth=who)
            answer.raise_for_status()
            token = answer.json()
            answer = await client.get(provider["jwks_uri"])
            answer.raise_for_status()
        decoded = jwt.decode(token["id_token"], KeySet.import_key_set(answer.json()), algorithms=ALGORITHMS)
        must = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
            "nonce": {"essential": True, "value": kept["nonce"]},
            "exp": {"essential": True},
        }
        params = {"client_id": self.settings.client_id, "nonce": kept["nonce"]}
        claims = CodeIDToken(decoded.claims, decoded.header, must, params)
        claims.validate(leeway=LEEWAY_S)
        return dict(claims)


def oidc_of(access: Access, audit: Audit) -> Oidc | None:
    """Return the login provider that the settings name, None where they name none; UsageError without its secret."""
    spec = access.settings.oidc
    if spec is None:
        return None
    secret = read_secret(spec.client_secret, "oidc")
    return Oidc(spec, secret, access.settings.url, access, audit)
