"""What the text message APIs share: the number, and for how long a message is worth delivering."""

import time

from pipeline.sending.addresses import phone_number
from pipeline.sending.mime import AddressError
from pipeline.sending.outcome import Message


def number_of(message: Message) -> str:
    """Return the customer's number as E.164; AddressError where there is none."""
    if message.address is None:
        raise AddressError("no telephone number")
    return phone_number(message.address)


def seconds_left(message: Message) -> int | None:
    """Return how long a message is still good, by the wall clock; None where it has no end or is of a history."""
    left_s = (message.valid_until - time.time_ns() // 1_000_000) // 1000
    return left_s if left_s > 0 else None
