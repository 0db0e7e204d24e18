"""A message as MIME: text and HTML parts, and the headers that mail needs."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from pipeline.sending.outcome import Message


class AddressError(Exception):
    """An address is none, or would put a header where none should be."""


def checked_address(text: str) -> str:
    """Return a mail address; AddressError where it is none (header injection included)."""
    name, address = parseaddr(text)
    if not address or "@" not in address or any(ord(char) < 33 for char in address) or "\n" in text or "\r" in text:
        raise AddressError(f"not a mail address ({len(text)} characters)")
    try:
        Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError) as error:
        raise AddressError(f"not a mail address: {type(error).__name__}") from None
    return address


def to_mime(message: Message) -> EmailMessage:
    """Return the mail; the same command gives the same bytes, boundary and Message-ID included."""
    mail = EmailMessage(policy=SMTP)
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
