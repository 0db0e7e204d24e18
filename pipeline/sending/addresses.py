"""Addresses of the channels: what is none is refused before anybody is called."""

import re

from pipeline.sending.mime import AddressError, checked_address

E164 = re.compile(r"\+[1-9]\d{6,14}")
WRITTEN = re.compile(r"[ ./()\-\u00a0\u202f]")
PUSH_CHARS_MAX = 4_096


def phone_number(text: str) -> str:
    """Return a number as E.164 (+33612345678); AddressError where it is none, or lacks its country."""
    number = WRITTEN.sub("", text)
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if not E164.fullmatch(number):
        raise AddressError("not a telephone number with its country, as in +33612345678")
    return number


def check_address(channel: str, address: str) -> None:
    """Raise AddressError where an address is none of its channel."""
    if channel == "email":
        checked_address(address)
    elif channel == "sms":
        phone_number(address)
    elif not address or len(address) > PUSH_CHARS_MAX or not address.isprintable() or not address.isascii():
        raise AddressError("not a device's token or subscription")
