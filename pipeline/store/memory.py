"""A store in memory: for tests and for replay."""

from models.customer import Customer
from models.progress import Progress
from pipeline.engine.api import next_due
from pipeline.runtime.batch import Batch


class MemoryStore:
    """Customers and timers in dicts, the same promises as the store on disk."""

    def __init__(self) -> None:
        self._customers: dict[str, Customer] = {}
        self._dues: dict[str, int] = {}
        self._progress: Progress | None = None

    def get(self, customer: str) -> Customer | None:
        """Return a customer's committed state."""
        return self._customers.get(customer)

    def due(self, before: int, limit: int, after: tuple[int, str] | None = None) -> list[tuple[int, str]]:
        """Return (due, customer) of timers due before a time (UTC ms), in that order, those after a cursor."""
        found = sorted((due, name) for name, due in self._dues.items() if due < before)
        return [row for row in found if after is None or row > after][:limit]

    def customers_after(self, cursor: str | None, limit: int) -> list[str]:
        """Return customer ids after a cursor, in order."""
        names = sorted(name.encode() for name in self._customers)
        after = b"" if cursor is None else cursor.encode()
        return [name.decode() for name in names if cursor is None or name > after][:limit]

    def progress(self) -> Progress | None:
        """Return the last committed progress record."""
        return self._progress

    def apply(self, batch: Batch) -> None:
        """Write a batch."""
        for name, customer in batch.customers.items():
            self._dues.pop(name, None)
            if customer is None:
                self._customers.pop(name, None)
                continue
            self._customers[name] = customer
            due = next_due(customer)
            if due is not None:
                self._dues[name] = due
        self._progress = batch.progress
