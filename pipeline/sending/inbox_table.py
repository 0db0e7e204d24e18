"""The inboxes of a cluster as a collector holds them: a table in memory, made of the rows of the topic `inbox`.

The order in which rows come does not matter, but for a message's number. Only what is to be shown is held.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from models.inbox import STATES, InboxItem
from models.inbox_rows import ForgottenRow, InboxRow, MessageRow, StateRow
from pipeline.sending.inbox import Told, crowded_out, shown

SWEEP_ROWS = 10_000


@dataclass
class _Customer:
    items: dict[str, InboxItem] = field(default_factory=dict)
    states: dict[str, StateRow] = field(default_factory=dict)


class InboxTable:
    """Takes rows; answers what is to be shown. `most` bounds a customer's messages, `now` is the clock (UTC ms)."""

    def __init__(self, most: int, now: Callable[[], int]):
        self._most = most
        self.now = now
        self._customers: dict[str, _Customer] = {}
        self._forgotten: dict[str, int] = {}
        self._told: list[Told] = []
        self._rows = 0

    def listen(self, told: Told) -> None:
        """Tell of every message that is new or changed."""
        self._told.append(told)

    def of(self, customer: str) -> list[InboxItem]:
        """Return a customer's messages that are to be shown, oldest first."""
        held = self._customers.get(customer)
        return [] if held is None else shown(list(held.items.values()), self.now())

    def names(self, customer: str) -> set[str]:
        """Return the ids of all that is held of a customer, shown or not."""
        held = self._customers.get(customer)
        return set() if held is None else {*held.items, *held.states}

    def take(self, row: InboxRow, number: int) -> None:
        """Take a row; `number` counts up along the topic's partition."""
        self._rows += 1
        if self._rows % SWEEP_ROWS == 0:
            self._sweep()
        match row:
            case MessageRow():
                self._message(replace(row.item, number=number))
            case StateRow():
                self._state(row)
            case ForgottenRow():
                self._forget(row)

    def _message(self, item: InboxItem) -> None:
        if item.until <= self.now() or item.at <= self._forgotten.get(item.customer, -1):
            return
        held = self._customers.setdefault(item.customer, _Customer())
        if item.id in held.items:
            return
        known = held.states.get(item.id)
        held.items[item.id] = item if known is None else item.moved(known.state) or item
        for gone in crowded_out(list(held.items.values()), self.now(), self._most):
            del held.items[gone.id]
        self._tell(held.items.get(item.id))

    def _state(self, row: StateRow) -> None:
        if row.until <= self.now():
            return
        held = self._customers.setdefault(row.customer, _Customer())
        known = held.states.get(row.id)
        if known is None or STATES.index(known.state) < STATES.index(row.state):
            held.states[row.id] = row
        item = held.items.get(row.id)
        moved = item.moved(row.state) if item is not None else None
        if moved is not None:
            held.items[row.id] = moved
            self._tell(moved)

    def _forget(self, row: ForgottenRow) -> None:
        self._forgotten[row.customer] = max(row.at, self._forgotten.get(row.customer, -1))
        held = self._customers.get(row.customer)
        if held is not None:
            gone = [name for name, item in held.items.items() if item.at <= row.at]
            for name in gone:
                del held.items[name]
                held.states.pop(name, None)

    def _sweep(self) -> None:
        """Let go of what has expired, also of customers who never come back."""
        now = self.now()
        for name, held in list(self._customers.items()):
            held.items = {one: item for one, item in held.items.items() if item.until > now}
            held.states = {one: row for one, row in held.states.items() if row.until > now}
            if not held.items and not held.states:
                del self._customers[name]

    def _tell(self, item: InboxItem | None) -> None:
        for told in self._told if item is not None else ():
            told(item)  # type: ignore[arg-type]
