"""A message as MIME: text and HTML parts, and the headers that mail needs."""

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from pipeline.sending.outcome import Message


class MimeError(Exception):
    """A message cannot be written as mail; nothing was sent."""


class AddressError(MimeError):
    """An address is none, or would put a header where none should be."""


class _Whole(UnstructuredHeader):
    """A header that is never folded: the standard library would write a long address of the web as encoded words."""

    def fold(self, *, policy: "EmailPolicy[EmailMessage]") -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


def _policy() -> "EmailPolicy[EmailMessage]":
    registry = HeaderRegistry()
    for name in ("list-unsubscribe", "list-unsubscribe-post"):
        registry.map_to_type(name, _Whole)  # type: ignore[arg-type]  # a mixin, as the library's own are
    # 7bit: every relay takes it, those without 8BITMIME too, and no relay has to recode what was signed.
    return SMTP.clone(cte_type="7bit", header_factory=registry)


POLICY = _policy()
LINE_MAX = 78
# A text of which so many letters are none of ASCII is shorter in base64: quoted-printable writes three for each.
DENSE = 6
HIGH = bytes(range(128, 256))
# Values that are their own line, by header: an address or a name of a message that no reader could take for more.
_WORD = r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*"
_LABEL = "[A-Za-z0-9-]{1,63}"
# Most addresses are so plain that nothing is left to find out.
SIMPLE = re.compile(rf"{_WORD}@{_LABEL}(\.{_LABEL})*")
NEVER = re.compile(r"(?!)")
PLAIN = {
    "To": re.compile(rf"(?=.{{3,70}}$){_WORD}@{_WORD}"),
    "Message-ID": re.compile(rf"(?=.{{3,60}}$)<{_WORD}@{_WORD}>"),
    "Date": re.compile(r"[A-Za-z0-9,: +-]{1,60}"),
    "X-Parcours-Command": re.compile(r"[a-z0-9-]{1,50}"),
    "List-Unsubscribe": re.compile(r"<https?://[!-~]{1,900}>"),
    "List-Unsubscribe-Post": re.compile(r"List-Unsubscribe=One-Click"),
}


def checked_address(text: str) -> str:
    """Return a mail address, its domain in ASCII; AddressError where it is none (header injection included)."""
    return text if SIMPLE.fullmatch(text) else _checked(text)


@lru_cache(maxsize=1_024)
def _checked(text: str) -> str:
    name, address = parseaddr(text)
    if not address or "@" not in address or any(ord(char) < 33 or ord(char) == 127 for char in address):
        raise AddressError(f"not a mail address ({len(text)} characters)")
    if any(char in text for char in "\n\r\0"):
        raise AddressError("a line break in it")
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise AddressError("letters before the @ that mail relays do not carry")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
        Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError, MessageError) as error:
        raise AddressError(f"not a mail address: {type(error).__name__}") from None
    return address


def sender_address(message: Message) -> str:
    """Return the envelope's sender: the address in the From line."""
    return checked_address(message.sender)


def to_mime(message: Message) -> bytes:
    """Return the mail; the same command gives the same bytes, boundary and Message-ID included.

    MimeError where a header would hold a line break or an address is none. It is put together here: the standard
    library's EmailMessage took three times the CPU, more than half of what a mail costs. Headers are still its own.
    """
    try:
        boundary = f"=_{message.command}"
        head = [_header(name, value) for name, value in _headers(message)]
        head.append(f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n')
        return b"".join(
            (
                "".join(head).encode("ascii"),
                *_part(boundary, "plain", message.text),
                *_part(boundary, "html", message.html),
                f"--{boundary}--\r\n".encode(),
            )
        )
    except (ValueError, IndexError, MessageError) as error:
        raise MimeError(f"{type(error).__name__}: {error}") from None


def _headers(message: Message) -> Iterator[tuple[str, str]]:
    domain = parseaddr(message.sender)[1].rpartition("@")[2] or "localhost"
    yield "From", message.sender
    if message.address is not None:
        yield "To", checked_address(message.address)
    yield "Subject", message.subject
    yield "Message-ID", f"<{message.command}@{domain}>"
    yield "Date", format_datetime(datetime.fromtimestamp(message.at / 1000, UTC))
    if message.reply_to:
        yield "Reply-To", message.reply_to
    if message.unsubscribe_url:
        yield "List-Unsubscribe", f"<{message.unsubscribe_url}>"
        yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
    yield "X-Parcours-Command", message.command


def _header(name: str, value: str) -> str:
    """Return a header's line: what needs neither folding nor encoding is written as it is."""
    if PLAIN.get(name, NEVER).fullmatch(value):
        return f"{name}: {value}\r\n"
    return _folded(name, value)


@lru_cache(maxsize=1_024)
def _folded(name: str, value: str) -> str:
    _, parsed = POLICY.header_store_parse(name, value)  # ValueError where a line break is in it
    folded: str = parsed.fold(policy=POLICY)
    return folded


def _part(boundary: str, kind: str, text: str) -> tuple[bytes, bytes]:
    lines = text.encode().splitlines()
    content, encoding = b"\n".join(lines) + b"\n", "7bit"
    if not content.isascii() or max(map(len, lines), default=0) > LINE_MAX:
        letters = len(content) - len(content.translate(None, HIGH))
        dense = letters * DENSE > len(content)
        encoding = "base64" if dense else "quoted-printable"
        content = encodebytes(content.replace(b"\n", b"\r\n")) if dense else b2a_qp(content)
    head = (
        f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    )
    return head.encode("ascii"), content.replace(b"\n", b"\r\n") + b"\r\n"
