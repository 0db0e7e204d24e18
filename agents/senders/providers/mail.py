"""What the mail APIs share: who it is from, and the headers that a mail of ours has."""

from email.utils import parseaddr

from pipeline.sending.mime import AddressError, checked_address
from pipeline.sending.outcome import Message

REFERENCE = "parcours"


def sender_of(message: Message) -> tuple[str, str]:
    """Return name and address of the From line."""
    return parseaddr(message.sender)[0], checked_address(message.sender)


def address_of(message: Message) -> str:
    """Return the customer's address; AddressError where there is none."""
    if message.address is None:
        raise AddressError("no address")
    return checked_address(message.address)


def headers_of(message: Message) -> dict[str, str]:
    """Return the headers that an API does not write itself."""
    found = {"X-Parcours-Command": message.command}
    if message.unsubscribe_url:
        found["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        found["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return found


def handed_back(message: Message) -> dict[str, str]:
    """Return what the provider is to hand back with all that it reports of the message."""
    return {"command": message.command} | ({REFERENCE: message.reference} if message.reference else {})
