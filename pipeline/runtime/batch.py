"""What one commit carries: the same record for both hosts."""

from dataclasses import dataclass, field

from models.command import Cancel, Command, Mark
from models.customer import Customer
from models.dead_letter import DeadLetter
from models.decision import Decision
from models.event import Event
from models.membership import Membership
from models.progress import Progress
from models.voucher import Voucher
from pipeline.runtime.erasing import Erased


@dataclass(slots=True)
class Batch:
    """The last value of every changed customer (None: removed) and what goes out, with the progress record.

    Written in one Kafka transaction (state, commands, cancels, decisions, forwards, dead letters, the mark, and last
    the progress record) or in one RocksDB write batch.
    """

    progress: Progress
    customers: dict[str, Customer | None] = field(default_factory=dict)
    # The (hot, cold) values of those customers: they were encoded once, to measure them.
    encoded: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    forwards: list[Event] = field(default_factory=list)
    vouchers: list[Voucher] = field(default_factory=list)
    # Of customers who are in other segments or levels than before: for the console. A cluster's reads the changelog.
    memberships: list[Membership] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    mark: Mark | None = None
    # Who was forgotten: the hashes of their addresses go on the suppression list.
    erased: list[Erased] = field(default_factory=list)
    # For the metrics: the arrival (UTC ms) of the event that each command of an event's step came from, and how many
    # customers were woken for a timer.
    caused: list[int] = field(default_factory=list)
    woken: int = 0
