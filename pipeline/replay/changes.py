"""How the messages of one customer differ between two plans over the same stretch of a log.

A message is known by its command id: a hash of scenario, entry event and step, which no version enters.

kind         there under both plans?
appears      under the draft alone
disappears   under the plan that it is compared with alone
moves        under both, at another time
changes      under both, at the same time, with another content, channel or address
"""

from collections.abc import Iterable, Iterator

import msgspec

from models.command import Command
from models.decision import Decision
from pipeline.replay.guards import Guard

APPEARS, DISAPPEARS, MOVES, CHANGES = KINDS = ("appears", "disappears", "moves", "changes")
TIMES = ("due_at", "emitted_at")
# Validity moves with the time; plan and version name what is compared.
BESIDE = frozenset({"plan", "version", "valid_until", *TIMES})
CONTENT = tuple(name for name in Command.__struct_fields__ if name not in BESIDE)
VALID = "valid_for"
# Decisions of a customer that say nothing of one message.
Decisions = list[Decision]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a message is not there or otherwise under a plan: `reason` is counted, `text` tells the case at hand."""

    reason: str
    text: str


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message that differs: `was` under the plan compared with, `now` under the draft; None where it is not there.

    `fields` names what differs of a message that is under both; `guards` are the conditions on either side.
    """

    kind: str
    customer: str
    was: Command | None
    now: Command | None
    cause: Cause = Cause(reason="", text="")
    fields: tuple[str, ...] = ()
    guards: dict[str, tuple[Guard, ...]] = {}

    @property
    def command(self) -> Command:
        """Return the message, of the draft where it is there."""
        found = self.now or self.was
        assert found is not None
        return found

    @property
    def place(self) -> tuple[str, str, str]:
        """Return (kind, scenario, step)."""
        return self.kind, self.command.scenario, self.command.step


def changes_of(customer: str, was: Iterable[Command], now: Iterable[Command]) -> Iterator[Change]:
    """Yield what differs of a customer's messages: the draft's in their order, then those that disappear."""
    left = {command.id: command for command in was}
    for new in now:
        old = left.pop(new.id, None)
        found = _change(customer, old, new)
        if found is not None:
            yield found
    for old in left.values():
        yield Change(kind=DISAPPEARS, customer=customer, was=old, now=None)


def _change(customer: str, old: Command | None, new: Command) -> Change | None:
    if old is None:
        return Change(kind=APPEARS, customer=customer, was=None, now=new)
    fields = differing(old, new)
    if not fields:
        return None
    kind = MOVES if any(name in TIMES for name in fields) else CHANGES
    return Change(kind=kind, customer=customer, was=old, now=new, fields=fields)


def differing(old: Command, new: Command) -> tuple[str, ...]:
    """Return the names of what differs: times, how long it is valid, fields, and of the data each value apart."""
    found = [name for name in TIMES if getattr(old, name) != getattr(new, name)]
    if old.valid_until - old.due_at != new.valid_until - new.due_at:
        found.append(VALID)
    for name in CONTENT:
        one, other = getattr(old, name), getattr(new, name)
        if one == other:
            continue
        if name != "data":
            found.append(name)
            continue
        found += [f"data.{key}" for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return tuple(found)
