"""A message in the inbox that the store's page reads: what the channel `web` keeps of a command."""

from typing import Any

import msgspec

# What the customer did with it, in this order: a later state is never followed by an earlier one.
STATES = ("new", "delivered", "seen", "clicked", "dismissed")
CUSTOMER_BYTES_MAX = 256


class InboxItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of one customer.

    `id` is the command's id, `at` when it was kept and `until` when it goes, both UTC milliseconds; `payload` is what
    the template says. `number` rises with every new message of a customer: a stream goes on from it. Of a dismissed
    one the payload is gone; the row stays until it would have gone, so that a repeated call does not bring it back.
    """

    id: str
    customer: str
    scenario: str
    step: str
    purpose: str
    at: int
    until: int
    payload: dict[str, Any] = {}
    number: int = 0
    state: str = "new"

    def moved(self, state: str) -> "InboxItem | None":
        """Return the item in a later state; None where it is there already, or further."""
        if STATES.index(state) <= STATES.index(self.state):
            return None
        payload = {} if state == "dismissed" else self.payload
        return msgspec.structs.replace(self, state=state, payload=payload)
