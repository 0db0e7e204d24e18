"""A message as MIME: text and HTML parts, and the headers that mail needs."""

from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, parseaddr

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


def checked_address(text: str) -> str:
    """Return a mail address, its domain in ASCII; AddressError where it is none (header injection included)."""
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


def to_mime(message: Message) -> EmailMessage:
    """Return the mail; the same command gives the same bytes, boundary and Message-ID included.

    MimeError where a header would hold a line break or an address is none.
    """
    try:
        return _mail(message)
    except (ValueError, IndexError, MessageError) as error:
        raise MimeError(f"{type(error).__name__}: {error}") from None


def _mail(message: Message) -> EmailMessage:
    mail = EmailMessage(policy=POLICY)
    domain = parseaddr(message.sender)[1].rpartition("@")[2] or "localhost"
    mail["From"] = message.sender
    if message.address is not None:
        mail["To"] = checked_address(message.address)
    mail["Subject"] = message.subject
    mail["Message-ID"] = f"<{message.command}@{domain}>"
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at / 1000, UTC))
    if message.reply_to:
        mail["Reply-To"] = message.reply_to
    if message.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["X-Parcours-Command"] = message.command
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    mail.set_boundary(f"=_{message.command}")
    return mail
