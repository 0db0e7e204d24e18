"""Email over SMTP: one kept connection, TLS where asked for."""

import os
from urllib.parse import urlsplit

import aiosmtplib

from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message, Outcome

TIMEOUT_S = 30.0
# A connection carries this many mails before it is made anew: relays count them.
MAILS_A_CONNECTION = 100


class Smtp:
    """One relay. SMTP takes no idempotency key: what is cut off after DATA is unknown."""

    name = "smtp"
    idempotent = False

    def __init__(self, url: str, *, starttls: bool = False):
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (465 if parts.scheme == "smtps" else 25)
        self._tls = parts.scheme == "smtps"
        self._starttls = starttls
        self._client: aiosmtplib.SMTP | None = None
        self._sent = 0

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected and self._sent < MAILS_A_CONNECTION:
            return self._client
        await self.close()
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=self._starttls,
            timeout=TIMEOUT_S,
            username=os.environ.get("PARCOURS_SMTP_USER"),
            password=os.environ.get("PARCOURS_SMTP_PASSWORD"),
        )
        await client.connect()
        self._client, self._sent = client, 0
        return client

    async def send(self, message: Message) -> Outcome:
        """Send one mail: refused before DATA is retried, cut off after it is unknown."""
        if message.address is None:
            return Outcome("rejected", "no address")
        mail = to_mime(message)
        try:
            client = await self._connected()
            await client.mail(message.sender.rpartition("<")[2].rstrip(">"))
            await client.rcpt(message.address)
        except aiosmtplib.SMTPResponseException as error:
            await self._reset()
            return _answered(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            await self.close()
            return Outcome("retry", f"not connected: {type(error).__name__}")
        return await self._data(client, mail.as_bytes())

    async def _data(self, client: aiosmtplib.SMTP, content: bytes) -> Outcome:
        try:
            answer = await client.data(content)
        except aiosmtplib.SMTPResponseException as error:
            await self._reset()
            return _answered(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            await self.close()
            return Outcome("unknown", f"cut off after DATA: {type(error).__name__}")
        self._sent += 1
        return Outcome("accepted", provider_id=answer.message[:200])

    async def _reset(self) -> None:
        try:
            if self._client is not None:
                await self._client.rset()
        except (aiosmtplib.SMTPException, OSError):
            await self.close()

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _answered(error: aiosmtplib.SMTPResponseException) -> Outcome:
    """4xx passes, 5xx stays; a lost connection has the library's own negative code."""
    if error.code < 0 or error.code == 421:
        return Outcome("retry", f"the relay closed: {error.code}")
    if 400 <= error.code < 500:
        return Outcome("retry", f"{error.code} {error.message[:200]}")
    return Outcome("rejected", f"{error.code} {error.message[:200]}")
