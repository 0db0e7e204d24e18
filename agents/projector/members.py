"""Folds who is in which segment: each customer's names as they are now, and by day how many came and went.

An embedded run writes a record where a customer's segments change; on a cluster the changelog's hot value tells it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from agents.projector import schema
from agents.projector.batch import Record, Sums, read
from agents.projector.writing import ADD, SET, Writer
from models.membership import Membership, labels_of
from pipeline.store.codec import HOT, decode_customer

AT_ONCE = 500
_decoder = msgspec.json.Decoder(Membership)


def memberships(records: Iterable[Record]) -> list[Membership]:
    """Return what records of `memberships` say."""
    found = (read(record, _decoder.decode) for record in records)
    return [one for one in found if one is not None]


def of_changelog(records: Iterable[Record]) -> list[Membership]:
    """Return what the hot values of a changelog say; one who is gone is in nothing."""
    found: list[Membership] = []
    for record in records:
        if not record.key or record.key[:1] != HOT:
            continue
        name = record.key[1:].decode()
        if record.value is None:
            found.append(Membership(customer=name, at=found[-1].at if found else 0))
        else:
            state = decode_customer(name, record.value, None)
            found.append(Membership(customer=name, at=state.now, names=labels_of(state.tracked)))
    return found


def known_members(connection: Connection, customers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what these customers are in, sorted; nothing for those who are in nothing."""
    wanted, table = sorted(set(customers)), schema.members
    found: dict[str, list[str]] = {}
    for begin in range(0, len(wanted), AT_ONCE):
        said = table.select().where(table.c.customer.in_(wanted[begin : begin + AT_ONCE]))
        for row in connection.execute(said):
            found.setdefault(row.customer, []).append(row.name)
    return {customer: tuple(sorted(names)) for customer, names in found.items()}


class MemberFold:
    """The memberships of one batch over what was known before."""

    def __init__(self, day: Callable[[int], str]):
        self._day = day
        self.sums = Sums(2)
        self.now: dict[str, tuple[str, ...]] = {}
        self._came: dict[tuple[str, str], int] = {}
        self._gone: set[tuple[str, str]] = set()

    def fold(self, said: Iterable[Membership], known: dict[str, tuple[str, ...]]) -> None:
        """Take what is said, in its order."""
        for one in said:
            before = self.now.get(one.customer, known.get(one.customer, ()))
            self.now[one.customer] = one.names
            for name in one.names:
                if name not in before:
                    self._came[one.customer, name] = one.at
                    self._gone.discard((one.customer, name))
                    self.sums.add((self._day(one.at), name), 1, 0)
            for name in before:
                if name not in one.names:
                    self._gone.add((one.customer, name))
                    self._came.pop((one.customer, name), None)
                    self.sums.add((self._day(one.at), name), 0, 1)

    def write(self, writer: Writer) -> None:
        """Write who is in what now, and the sums by day."""
        writer.delete(schema.members, sorted(self._gone))
        rows: list[tuple[Any, ...]] = [(customer, name, at) for (customer, name), at in self._came.items()]
        writer.upsert(schema.members, rows, SET)
        writer.upsert(schema.memberships, self.sums.rows(), ADD)
