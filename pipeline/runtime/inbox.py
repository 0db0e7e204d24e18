"""The inbox of an embedded run: rows of its data folder, written by the sender and by the collector's thread.

A row stands under `inbox/CUSTOMER/COMMAND`, the customer in hex, so that all of one customer's stand together and no id
can reach into another's. Messages expire by log time, as everything in an embedded run does.
"""

import threading
from collections.abc import Callable, Iterator

from msgspec.structs import replace
from rocksdict import WriteBatch

from models.inbox import InboxItem
from pipeline.errors import RunError
from pipeline.runtime.folder import Folder, meta_key
from pipeline.sending.hearing import IntakeError
from pipeline.sending.inbox import Told, crowded_out, decode_item, encode_item, shown

ROWS, NUMBER = "inbox/", "inbox-number"
# Rows of customers who never come back are looked for when the run begins and once in so many messages.
SWEEP_MESSAGES = 10_000


def rows_of(customer: str) -> str:
    """Return how the names of a customer's rows begin."""
    return f"{ROWS}{customer.encode().hex()}/"


class FolderInbox:
    """A `pipeline.sending.inbox.InboxStore` over a data folder.

    `log_time` is the run's, `most` a customer's bound; `known` says whether anything is kept of a customer: a history
    can carry out a message after its customer was forgotten.
    """

    def __init__(
        self,
        folder: Folder,
        log_time: Callable[[], int],
        most: int,
        known: Callable[[str], bool] = lambda customer: True,
    ):
        self._known = known
        self._folder = folder
        self._log_time = log_time
        self._most = most
        self._lock = threading.Lock()
        self._told: list[Told] = []
        raw = folder.get(NUMBER)
        self._number = int(raw) if raw else 0
        self._sweep()

    def now(self) -> int:
        """Return the log time that has come (UTC ms)."""
        return self._log_time()

    def listen(self, told: Told) -> None:
        """Tell of every message that is new or changed, in the thread that changed it."""
        self._told.append(told)

    def _rows(self, customer: str) -> Iterator[InboxItem]:
        for _, raw in self._folder.values(rows_of(customer)):
            yield decode_item(raw)

    def of(self, customer: str) -> list[InboxItem]:
        """Return a customer's messages that are to be shown, oldest first."""
        return shown(list(self._rows(customer)), self.now())

    async def keep(self, item: InboxItem) -> bool:
        """Keep a message; RunError where the disk takes none."""
        with self._lock:
            if not self._known(item.customer):
                return False
            rows = list(self._rows(item.customer))
            if any(one.id == item.id for one in rows):
                return True
            batch = WriteBatch(raw_mode=True)
            item = replace(item, number=self._number + 1)
            for gone in crowded_out([*rows, item], max(self.now(), item.at), self._most):
                batch.delete(_key(gone))
            if item.until > max(self.now(), item.at):
                batch.put(_key(item), encode_item(item))
            batch.put(meta_key(NUMBER), str(item.number).encode())
            self._folder.write(batch)
            self._number = item.number
        if self._number % SWEEP_MESSAGES == 0:
            self._sweep()
        self._tell(item)
        return True

    async def note(self, customer: str, name: str, state: str) -> InboxItem | None:
        """Move a message to a later state; IntakeError where it could not be written."""
        with self._lock:
            raw = self._folder.get(rows_of(customer) + name)
            found = decode_item(raw).moved(state) if raw else None
            if found is None or found.until <= self.now():
                return None
            batch = WriteBatch(raw_mode=True)
            batch.put(_key(found), encode_item(found))
            try:
                self._folder.write(batch)
            except RunError as error:
                raise IntakeError(str(error)) from None
        self._tell(found)
        return found

    def forget(self, customer: str) -> None:
        """Take all that a customer has here away, at once."""
        with self._lock:
            batch = WriteBatch(raw_mode=True)
            for one in self._rows(customer):
                batch.delete(_key(one))
            self._folder.write(batch)

    def _sweep(self) -> None:
        batch, now = WriteBatch(raw_mode=True), self.now()
        gone = [item for _, raw in self._folder.values(ROWS) if (item := decode_item(raw)).until <= now]
        for item in gone:
            batch.delete(_key(item))
        if gone:
            self._folder.write(batch)

    def _tell(self, item: InboxItem) -> None:
        for told in self._told:
            told(item)


def _key(item: InboxItem) -> bytes:
    return meta_key(rows_of(item.customer) + item.id)
