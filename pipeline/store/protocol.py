"""What a partition needs of its local store."""

from collections.abc import Iterable
from typing import Protocol

from models.customer import Customer
from models.progress import Progress
from pipeline.runtime.batch import Batch


class StateStore(Protocol):
    """Customers and timers of one journal partition; every call is synchronous and local."""

    def get(self, customer: str) -> Customer | None:
        """Return a customer's committed state."""

    def due(self, before: int, limit: int) -> list[str]:
        """Return customers whose index entry is due before a time (UTC ms), earliest first, each once."""

    def customers_after(self, cursor: str | None, limit: int) -> list[str]:
        """Return customer ids in the store's order after a cursor: the slices of an activation pass."""

    def progress(self) -> Progress | None:
        """Return the last committed progress record."""

    def apply(self, batch: Batch) -> None:
        """Write a committed batch: states, timer index and progress at once."""

    def apply_raw(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write changelog records (restore)."""
