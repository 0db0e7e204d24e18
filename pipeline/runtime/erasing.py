"""What an erasure leaves behind: the keyed hash of the addresses, so that a later import does not mail them again."""

from dataclasses import dataclass

from models.customer import Customer
from models.event import Event
from pipeline.engine.person import ADDRESS_OF, address_of
from pipeline.sending.links import Links
from pipeline.sending.suppressions import Suppression


@dataclass(frozen=True, slots=True)
class Erased:
    """A customer who was forgotten at a log time (UTC ms), with the addresses that were known: (channel, address).

    It lives in memory, from the step to the commit that removes the state: nothing of it is written but the hashes.
    """

    customer: str
    at: int
    addresses: tuple[tuple[str, str], ...]


def erased(event: Event, before: Customer | None) -> Erased:
    """Return who was forgotten by an event; `before` is their state as it was."""
    found = [] if before is None else [(channel, address_of(before.cold, channel)) for channel in ADDRESS_OF]
    return Erased(event.customer, event.at, tuple((channel, address) for channel, address in found if address))


def hashes(gone: Erased, links: Links) -> list[Suppression]:
    """Return the rows that stop marketing to the addresses of a customer who was forgotten."""
    return [
        Suppression(address=links.address_hash(channel, address), kind="erased", at=gone.at, channel=channel)
        for channel, address in gone.addresses
    ]
