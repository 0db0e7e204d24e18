"""What goes out of the engine to the senders: commands, cancels and marks."""

from typing import Any

import msgspec

COMMAND_BYTES_MAX = 256 * 1024
CHANNELS = ("email", "sms", "push", "web", "webhook")


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The source record that began the enrolment of a command."""

    event_id: str
    source_topic: str
    partition: int
    offset: int


class Lookup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message asks of the catalogue: the sender finds it when it renders, the engine reads no catalogue.

    `ask` is product, related, favourites, new_products or popular. `products` are those that it is about, `categories`
    the customer's or those named, both best first; `without` what the customer has bought. At most `count` come back.
    """

    ask: str
    products: list[str] = []
    categories: list[str] = []
    without: list[str] = []
    count: int = 1


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="command"):
    """One message to send: a record on `delivery`, keyed by customer.

    `due_at` is when the step was due, `emitted_at` the `now` of the step that emitted it, `valid_until` the time
    after which the sender drops it; all UTC milliseconds of log time. `address` is the channel's own (mail, number).
    `timezone` is the customer's own, where quiet hours hold for the message: a sender looks at them again.
    `lookups` are the values of `with` that the sender finds in its catalogue.
    """

    id: str
    scenario: str
    step: str
    customer: str
    channel: str
    purpose: str
    template: str
    data: dict[str, Any]
    due_at: int
    emitted_at: int
    valid_until: int
    reason: Cause
    enrolment: str
    version: str
    plan: str
    address: str | None = None
    language: str = "en"
    require: list[str] = []
    repeat_unknown: bool = False
    depth: int = 0
    lookups: dict[str, Lookup] = {}
    timezone: str = ""


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cancel"):
    """A command that must not be carried out any more: a record on `cancels`, keyed by customer."""

    command: str
    customer: str
    channel: str
    reason: str
    at: int


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="mark"):
    """On `delivery`: all sources are applied in this partition up to arrival time `applied_until` (UTC ms).

    Delay is not taken off. Senders compare it with their own clock to know whether the engine is catching up;
    under `--clock records` it is their clock.
    """

    partition: int
    applied_until: int
    records_clock: bool = False


class Release(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="release"):
    """On `delivery`: an operator lets held commands of a scenario go (`cancel` false) or drops them (`cancel` true)."""

    id: str
    scenario: str
    cancel: bool
    at: int


DeliveryRecord = Command | Mark | Release
