"""What one step gives: the customer afterwards and everything that goes out."""

import msgspec

from models.command import Cancel, Command
from models.customer import Customer
from models.decision import Decision
from models.event import Event
from models.voucher import Voucher


class Transition(msgspec.Struct, kw_only=True):
    """The outcome of one input: `customer` None means that nothing is kept of them any more."""

    customer: Customer | None
    commands: list[Command] = []
    cancels: list[Cancel] = []
    decisions: list[Decision] = []
    forwards: list[Event] = []
    vouchers: list[Voucher] = []
    duplicate: bool = False
    silent: bool = False
