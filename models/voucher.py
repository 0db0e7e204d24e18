"""A voucher that a message names: a record on `vouchers`, keyed by customer, for the shop to honour."""

import msgspec


class Voucher(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One code, good until `valid_until`; `value` is what the scenario says it is worth, as a text (10%, 5.00).

    Times are UTC milliseconds. The same enrolment and step give the same code: a repeated record is the same voucher.
    """

    code: str
    customer: str
    value: str
    scenario: str
    step: str
    command: str
    enrolment: str
    issued_at: int
    valid_until: int
