"""Email over SMTP: a few kept connections, TLS where asked for."""

import asyncio
import os
import re
import ssl
from dataclasses import replace
from urllib.parse import urlsplit

import aiosmtplib

from agents.senders.dkim import DkimSigner, Signer
from agents.senders.secrets import read_secret
from models.senders import SmtpSpec
from pipeline.sending.clock import SystemClock
from pipeline.sending.mime import checked_address, sender_address, to_mime
from pipeline.sending.outcome import Message, Outcome

TIMEOUT_S = 30.0
CONNECT_S = 10.0
# A connection carries this many mails before it is made anew: relays count them.
MAILS_A_CONNECTION = 100
CONNECTIONS = 4
SOON_S = 0.1
NOT_AVAILABLE = 421
# No such mailbox, it has moved away, its domain takes no mail (RFC 3463 and 7505): it will take nothing later either.
NO_MAILBOX = re.compile(r"5\.1\.(1|6|10)\b")


class _Line:
    """One connection to the relay, and how many mails it has carried."""

    def __init__(self, client: aiosmtplib.SMTP):
        self.client = client
        self.sent = 0

    @property
    def usable(self) -> bool:
        return self.client.is_connected and self.sent < MAILS_A_CONNECTION


class Smtp:
    """One relay. SMTP takes no idempotency key: what is cut off after DATA is unknown."""

    name = "smtp"
    idempotent = False
    key_holds_ms = 0
    rate: float | None = None
    needs_address = True

    def __init__(
        self,
        url: str,
        *,
        starttls: bool = False,
        at_once: int = CONNECTIONS,
        timeout_s: float = TIMEOUT_S,
        login: tuple[str, str] | None = None,
        signer: Signer | None = None,
        context: ssl.SSLContext | None = None,
    ):
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (465 if parts.scheme == "smtps" else 25)
        self._tls = parts.scheme == "smtps"
        self._starttls = starttls
        self._timeout_s = timeout_s
        self._login = login or _login_of_environment()
        self._signer = signer
        self._context = context
        self._idle: list[_Line] = []
        self.at_once = at_once
        self._free = asyncio.Semaphore(at_once)

    @classmethod
    def of(cls, spec: SmtpSpec) -> "Smtp":
        """Return the relay that the settings name; UsageError where a secret is not there."""
        login = None
        if spec.user and spec.password:
            login = read_secret(spec.user, "smtp.user"), read_secret(spec.password, "smtp.password")
        found = cls(
            spec.url,
            starttls=spec.starttls,
            at_once=spec.at_once,
            timeout_s=spec.timeout_s,
            login=login,
            signer=DkimSigner(spec.dkim) if spec.dkim else None,
            context=ssl.create_default_context(cafile=spec.ca_file) if spec.ca_file else None,
        )
        found.rate = spec.rate
        return found

    async def send(self, message: Message) -> Outcome:
        """Send one mail: refused before DATA is retried, cut off after it is unknown."""
        if message.address is None:
            return Outcome("rejected", "no address")
        address, mail = checked_address(message.address), to_mime(message)
        if self._signer is not None:
            mail = self._signer.sign(mail)
        async with self._free:
            try:
                line = await self._line()
            except aiosmtplib.SMTPAuthenticationError as error:
                # The relay knows us no more: no message's fault, and no reason to drop any.
                return Outcome("retry", f"the relay refuses the login: {error.code}", trouble=True)
            except (aiosmtplib.SMTPException, OSError) as error:
                return Outcome("retry", f"not connected: {type(error).__name__}", trouble=True)
            outcome = await self._carry(line, message, address, mail)
            self._give_back(line, outcome)
        return outcome

    async def _line(self) -> _Line:
        """Return a kept connection that still works, or a new one."""
        while self._idle:
            line = self._idle.pop()
            if line.usable and await _alive(line.client):
                return line
            line.client.close()
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=self._starttls,
            tls_context=self._context,
            timeout=self._timeout_s,
            username=self._login[0] if self._login else None,
            password=self._login[1] if self._login else None,
        )
        await client.connect(timeout=min(CONNECT_S, self._timeout_s))
        return _Line(client)

    async def _carry(self, line: _Line, message: Message, address: str, content: bytes) -> Outcome:
        try:
            await line.client.mail(sender_address(message))
            await line.client.rcpt(address)
        except aiosmtplib.SMTPRecipientRefused as error:
            return replace(_answered(error), permanent=NO_MAILBOX.match(error.message) is not None)
        except aiosmtplib.SMTPResponseException as error:
            return _answered(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Outcome("retry", f"cut off before DATA: {type(error).__name__}", trouble=True)
        if message.call_by is not None and SystemClock().ticks() > message.call_by:
            # Frozen, or a slow relay: what the check saw is too old by now.
            return Outcome("retry", "too late for this check: checked again", after_s=SOON_S)
        return await self._data(line, content)

    async def _data(self, line: _Line, content: bytes) -> Outcome:
        try:
            answer = await line.client.data(content)
        except aiosmtplib.SMTPResponseException as error:
            if error.code < 0:
                return Outcome("unknown", f"cut off after DATA: {error.code}", trouble=True)
            return _answered(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Outcome("unknown", f"cut off after DATA: {type(error).__name__}", trouble=True)
        line.sent += 1
        return Outcome("accepted", provider_id=answer.message[:200])

    def _give_back(self, line: _Line, outcome: Outcome) -> None:
        """Keep a connection that still works: a dialogue that was refused in the middle is reset before the next."""
        if line.usable and not outcome.trouble:
            self._idle.append(line)
        else:
            line.client.close()

    async def close(self) -> None:
        """Close every kept connection."""
        while self._idle:
            self._idle.pop().client.close()


def _login_of_environment() -> tuple[str, str] | None:
    user, password = os.environ.get("PARCOURS_SMTP_USER"), os.environ.get("PARCOURS_SMTP_PASSWORD")
    return (user, password) if user and password else None


async def _alive(client: aiosmtplib.SMTP) -> bool:
    """Say whether a kept connection is still there: relays close idle ones without a word."""
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True


def _answered(error: aiosmtplib.SMTPResponseException) -> Outcome:
    """4xx passes, 5xx stays; 421 and a lost connection (a negative code) are the relay's own trouble."""
    reason = f"{error.code} {error.message[:200]}"
    if error.code < 0 or error.code == NOT_AVAILABLE:
        return Outcome("retry", f"the relay closed: {reason}", trouble=True)
    return Outcome("retry" if 400 <= error.code < 500 else "rejected", reason)
