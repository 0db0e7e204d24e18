"""Signing in by a login provider: a small one of our own, over HTTP, with real signatures."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.console.access import Access, read_console_settings
from agents.console.app import build
from agents.projector.database import migrate, open_database, sqlite_url
from models.console import ConsoleSpec, OidcSpec
from pipeline.errors import PlanError, UsageError
from pipeline.runtime.folder import Folder
from tests.console.kit import serving

CLIENT, SECRET = "console", "s3cret"


@dataclass
class Provider:
    """What the provider says next; tests change it."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    signer: RSAKey | None = None
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    down: bool = False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.described),
                Route("/keys", lambda _: JSONResponse({"keys": [self.key.as_dict(private=False)]})),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    def described(self, request: Request) -> Response:
        here = str(request.base_url).rstrip("/")
        if self.down:
            return Response(status_code=500)
        return JSONResponse({
            "issuer": self.issuer or here, "authorization_endpoint": f"{here}/go", "token_endpoint": f"{here}/token",
            "jwks_uri": f"{here}/keys",
        })  # fmt: skip

    async def token(self, request: Request) -> Response:
        form = await request.form()
        basic = base64.b64decode(request.headers["authorization"].split()[1]).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if basic != f"{CLIENT}:{SECRET}" or challenge.decode().rstrip("=") != self.asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": str(request.base_url).rstrip("/"), "aud": CLIENT, "sub": "17", "nonce": self.asked["nonce"],
            "iat": now, "exp": now + 60, "preferred_username": "marie", "groups": ["marketing"], **self.claims,
        }  # fmt: skip
        said = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signer or self.key)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": said})


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[Provider, str]]:
    one = Provider()
    with serving(one.app()) as base:
        yield one, base


@pytest.fixture
def browser(
    provider: tuple[Provider, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[httpx.Client, Provider]]:
    one, issuer = provider
    one.claims, one.signer, one.issuer, one.down = {}, None, "", False
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    said = {"issuer": issuer, "client_id": CLIENT, "client_secret": {"env": "OIDC_SECRET"}}
    settings = ConsoleSpec(oidc=OidcSpec.model_validate({**said, "roles": {"marketing": ["see", "edit"]}}))
    folder = Folder(tmp_path / "d")
    engine = open_database(sqlite_url(folder.path))
    migrate(engine)
    with serving(build(folder, engine, Access.of_folder(folder.path, settings))) as base:
        with httpx.Client(base_url=base, trust_env=False) as client:
            yield client, one
    engine.dispose()
    folder.close()


def sent(client: httpx.Client, provider: Provider) -> dict[str, str]:
    """Begin a login, and return what the provider was asked."""
    answer = client.get("/oidc/go")
    assert answer.status_code == 303
    provider.asked = {name: said[0] for name, said in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert provider.asked["code_challenge_method"] == "S256"
    return provider.asked


def back(client: httpx.Client, state: str) -> httpx.Response:
    return client.get("/oidc/back", params={"code": "c", "state": state})


def test_a_person_comes_in_with_the_roles_of_their_group(browser: tuple[httpx.Client, Provider]) -> None:
    client, provider = browser
    assert client.get("/health").status_code == 401
    assert back(client, sent(client, provider)["state"]).status_code == 200
    page = client.get("/control").text
    assert "marie" in page
    assert 'action="/do/switch"' in page
    assert "/do/erase" not in client.get("/customer").text
    assert "sign in" in client.get("/audit").text


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"}, {"aud": "another"}, {"nonce": "another"}, {"exp": 1}, {"exp": None},
    ],
)  # fmt: skip
def test_a_token_that_was_not_made_for_this_login_is_refused(
    browser: tuple[httpx.Client, Provider], claims: dict[str, Any]
) -> None:
    client, provider = browser
    asked = sent(client, provider)
    provider.claims = claims
    assert back(client, asked["state"]).status_code == 401
    assert client.get("/health").status_code == 401


def test_a_token_of_another_key_is_refused(browser: tuple[httpx.Client, Provider]) -> None:
    client, provider = browser
    asked = sent(client, provider)
    provider.signer = RSAKey.generate_key(2048, {"kid": "1"})
    assert back(client, asked["state"]).status_code == 401


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(browser: tuple[httpx.Client, Provider]) -> None:
    client, provider = browser
    state = sent(client, provider)["state"]
    assert back(client, "another").status_code == 401
    client.cookies.clear()
    assert back(client, state).status_code == 401


@pytest.mark.parametrize("groups", [[], ["cooks"], None, "cooks"])
def test_who_is_in_no_group_with_a_role_does_not_come_in(
    browser: tuple[httpx.Client, Provider], groups: object
) -> None:
    client, provider = browser
    asked = sent(client, provider)
    provider.claims = {"groups": groups}
    assert back(client, asked["state"]).status_code == 403
    assert client.get("/health").status_code == 401


def test_a_provider_that_is_down_or_another_is_said(browser: tuple[httpx.Client, Provider]) -> None:
    client, provider = browser
    provider.down = True
    assert client.get("/oidc/go").status_code == 503
    provider.down, provider.issuer = False, "https://other.example"
    assert client.get("/oidc/go").status_code == 503


@pytest.mark.parametrize("issuer", ["http://login.example", "login.example", "https://a:b@login.example", "ftp://x"])
def test_a_provider_without_tls_is_refused(issuer: str) -> None:
    with pytest.raises(ValidationError):
        OidcSpec.model_validate({
            "issuer": issuer, "client_id": "c", "client_secret": {"env": "X"}, "roles": {"a": ["see"]}
        })  # fmt: skip


def test_settings_that_are_wrong_name_the_place(tmp_path: Path) -> None:
    path = tmp_path / "console.yaml"
    path.write_text("oidc:\n  issuer: https://login.example\n  rolls: {}\n")
    with pytest.raises(PlanError, match=r"console\.yaml:3:3"):
        read_console_settings(path)
    with pytest.raises(UsageError, match="no such file"):
        read_console_settings(tmp_path / "none.yaml")
    assert json.loads(ConsoleSpec().model_dump_json()) == {"url": "", "oidc": None}
