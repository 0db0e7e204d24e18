"""A relay that demands TLS and a login, with a certificate of our own making."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from agents.senders.email_smtp import Smtp
from models.senders import Secret, SmtpSpec
from tests.sending.api import MESSAGE, said
from tests.sending.test_providers import Handler

# aiosmtpd does not know that the socket below it is encrypted from the start.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
LOGIN = ("shop", "s3cret")


class Relay:
    """What the relay demands, and which logins it saw."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("127.0.0.1").configure_cert(self.context)
        self.trusting = ssl.create_default_context()
        self.authority.configure_trust(self.trusting)
        self.handler = Handler()
        self.logins: list[tuple[str, str]] = []

    def check(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.logins[-1] == LOGIN, handled=False)


@asynccontextmanager
async def serving(relay: Relay, *, starttls: bool) -> AsyncIterator[int]:
    def made() -> SMTP:
        return SMTP(
            relay.handler,
            enable_SMTPUTF8=False,
            tls_context=relay.context if starttls else None,
            require_starttls=starttls,
            auth_required=True,
            auth_require_tls=starttls,
            authenticator=relay.check,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(made, "127.0.0.1", 0, ssl=None if starttls else relay.context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def smtp_of(relay: Relay, port: int, *, starttls: bool, **more: Any) -> Smtp:
    said = {"starttls": starttls, "timeout_s": 5, "login": LOGIN, "context": relay.trusting} | more
    return Smtp(f"{'smtp' if starttls else 'smtps'}://127.0.0.1:{port}", **said)


@pytest.mark.parametrize("starttls", [True, False], ids=["STARTTLS", "TLS"])
async def test_a_mail_goes_encrypted_under_a_login_and_its_connection_is_kept(starttls: bool) -> None:
    relay = Relay()
    async with serving(relay, starttls=starttls) as port:
        smtp = smtp_of(relay, port, starttls=starttls)
        outcomes = [await smtp.send(MESSAGE) for _ in range(3)]
        await smtp.close()
    assert {one.state for one in outcomes} == {"accepted"}, outcomes
    assert len(relay.handler.mails) == 3
    assert relay.logins == [LOGIN]


@pytest.mark.parametrize("starttls", [True, False], ids=["STARTTLS", "TLS"])
async def test_a_relay_that_is_not_trusted_gets_neither_login_nor_mail(starttls: bool) -> None:
    relay = Relay()
    async with serving(relay, starttls=starttls) as port:
        smtp = smtp_of(relay, port, starttls=starttls, context=ssl.create_default_context())
        outcome = await smtp.send(MESSAGE)
        await smtp.close()
    assert said(outcome) == ("retry", True, False)
    assert (relay.logins, relay.handler.mails) == ([], [])


async def test_a_relay_without_starttls_gets_neither_login_nor_mail() -> None:
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    smtp = Smtp(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", starttls=True, timeout_s=5, login=LOGIN)
    outcome = await smtp.send(MESSAGE)
    await smtp.close()
    server.close()
    await server.wait_closed()
    assert said(outcome) == ("retry", True, False)
    assert handler.mails == []


async def test_a_refused_login_drops_no_mail() -> None:
    relay = Relay()
    async with serving(relay, starttls=True) as port:
        smtp = smtp_of(relay, port, starttls=True, login=("shop", "wrong"))
        outcome = await smtp.send(MESSAGE)
        await smtp.close()
    assert said(outcome) == ("retry", True, False)
    assert "535" in outcome.reason
    assert relay.handler.mails == []


async def test_the_settings_name_certificate_and_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = Relay()
    relay.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("TEST_USER", LOGIN[0])
    (tmp_path / "password").write_text(LOGIN[1] + "\n")
    async with serving(relay, starttls=True) as port:
        spec = SmtpSpec(
            url=f"smtp://127.0.0.1:{port}",
            starttls=True,
            ca_file=str(tmp_path / "ca.pem"),
            user=Secret(env="TEST_USER"),
            password=Secret(file=str(tmp_path / "password")),
        )
        smtp = Smtp.of(spec)
        assert (await smtp.send(MESSAGE)).state == "accepted"
        await smtp.close()
    assert relay.logins == [LOGIN]
