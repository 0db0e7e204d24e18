"""What a partition needs of its local store."""

from typing import Protocol

from models.customer import Customer
from models.progress import Progress


class StateStore(Protocol):
    """Customers and timers of one journal partition; every call is synchronous and local. The host writes batches."""

    def get(self, customer: str) -> Customer | None:
        """Return a customer's committed state."""

    def due(self, before: int, limit: int, after: tuple[int, str] | None = None) -> list[tuple[int, str]]:
        """Return (due, customer) of index entries due before a time (UTC ms), in that order, those after a cursor."""

    def customers_after(self, cursor: str | None, limit: int) -> list[str]:
        """Return customer ids in the order of their UTF-8 bytes after a cursor: the slices of an activation pass."""

    def progress(self) -> Progress | None:
        """Return the last committed progress record."""
