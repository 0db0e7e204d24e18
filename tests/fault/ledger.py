"""What the ledger says of every command, held against what the provider has in its book."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.receiver import NOT_TAKEN, REFUSED, TAKEN, TAKEN_AGAIN, TAKEN_UNSAID
from models.receipt import FINAL, Receipt

REPEATED = "unknown, and repeated"


@dataclass
class Book:
    """The provider's side: how often each command was taken, what every call came to, and contents by command."""

    taken: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    unsaid: Counter[str] = field(default_factory=Counter)
    contents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def read_book(path: Path) -> Book:
    """Return what the provider wrote down."""
    book = Book()
    for line in path.read_text().splitlines():
        what, command, content = line.split()
        assert what in {TAKEN, TAKEN_UNSAID, TAKEN_AGAIN, NOT_TAKEN, REFUSED}
        book.calls[what] += 1
        book.contents[command].add(content)
        if what in {TAKEN, TAKEN_UNSAID}:
            book.taken[command] += 1
        if what == TAKEN_UNSAID:
            book.unsaid[command] += 1
    return book


@dataclass
class Account:
    """One command in the ledger: its last receipts, and how many of its calls are reported as unknown."""

    ends: list[str] = field(default_factory=list)
    intents: int = 0
    ambiguous: int = 0
    crashed: int = 0
    is_open: bool = False

    def add(self, receipt: Receipt) -> None:
        """Take the next receipt: an intent over an open one says that a crash hid what the first came to."""
        if receipt.state == "intent":
            self.intents += 1
            self._hidden()
            self.is_open = True
        elif receipt.state != "held":
            self._outcome(receipt)
        if receipt.state in FINAL:
            self.ends.append(receipt.state)

    def _outcome(self, receipt: Receipt) -> None:
        """An end without a call of its own reports nothing new."""
        if self.is_open and (receipt.state == "unknown" or receipt.reason.startswith(REPEATED)):
            self.ambiguous += 1
            self.crashed += receipt.reason.startswith("the call had no outcome")
        self.is_open = False

    def _hidden(self) -> None:
        self.ambiguous += self.is_open
        self.crashed += self.is_open


def accounts_of(receipts: Iterable[Receipt]) -> dict[str, Account]:
    """Return the accounts of all commands from the receipts in the order of their partitions."""
    found: dict[str, Account] = defaultdict(Account)
    for receipt in receipts:
        found[receipt.command].add(receipt)
    return found


def faults_of(
    commands: Iterable[str], accounts: dict[str, Account], book: Book, *, keyed: bool, repeat: Container[str] = ()
) -> list[str]:
    """Return every promise that was broken, one line each; none is what a run must give.

    `repeat` are the commands that may be delivered a second time where no key makes one message of two calls.
    """
    wrong: list[str] = []
    for command in commands:
        account, taken = accounts.get(command, Account()), book.taken[command]
        sent = account.ends.count("sent")
        if len(account.ends) != 1:
            wrong.append(f"{command} has the ends {account.ends}: one is due")
        if taken < sent:
            wrong.append(f"{command} was reported as sent and never taken")
        if taken - sent > account.ambiguous:
            wrong.append(f"{command} was taken {taken} times: sent {sent}, unknown {account.ambiguous}")
        if keyed and len(book.contents[command]) > 1:
            wrong.append(f"{command} came with {len(book.contents[command])} contents under one key")
        if taken > 1 and (keyed or command not in repeat):
            wrong.append(f"{command} was delivered {taken} times, and did not ask for it")
    wrong += [f"{command} is nobody's" for command in book.taken if command not in accounts]
    return wrong


def figures_of(accounts: dict[str, Account], book: Book) -> dict[str, int]:
    """Return what a run came to."""
    ends = Counter(end for account in accounts.values() for end in account.ends)
    return {
        **{f"ended {name}": ends[name] for name in sorted(ends)},
        "intents": sum(one.intents for one in accounts.values()),
        "calls that the provider saw": book.calls.total(),
        "taken": book.taken.total(),
        "taken, and the sender was not told": book.unsaid.total(),
        "repeated under a key": book.calls[TAKEN_AGAIN],
        "not taken": book.calls[NOT_TAKEN] + book.calls[REFUSED],
        "reported as unknown": sum(one.ambiguous for one in accounts.values()),
        "of these after a crash": sum(one.crashed for one in accounts.values()),
        "delivered twice or more": sum(count - 1 for count in book.taken.values() if count > 1),
    }
