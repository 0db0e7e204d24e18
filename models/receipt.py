"""What a sender did with a command: a record on `receipts`, keyed by customer."""

import msgspec

# `intent` stands before a call; each of FINAL ends a command; `held` and `retry` say that it still waits.
FINAL = ("sent", "rejected", "expired", "cancelled", "unknown")
STATES = ("intent", "held", "retry", *FINAL)


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One state (see STATES) of one command, at the sender's time `at` (UTC milliseconds; the mark under records).

    `delivery_offset` is the command's offset on `delivery`, `position` (topic `receipts`) its own place. A
    `permanent` rejection says that the address will take nothing later either. `catalogue_version` names the catalogue
    that a message with goods was rendered from.
    """

    command: str
    customer: str
    state: str
    at: int
    channel: str
    scenario: str
    step: str
    purpose: str
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    delivery_offset: int = 0
    template_version: str = ""
    depth: int = 0
    permanent: bool = False
    catalogue_version: str = ""
