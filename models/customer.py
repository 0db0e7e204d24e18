"""The state of one customer: what is known of them, and where they stand in each scenario.

Every part is a frozen record: a step makes a new `Customer` that shares what did not change. `Cold` holds what changes
seldom, so that the changelog need not repeat it with every page view.
"""

from typing import Annotated, Any

import msgspec

# Markers that the expression checker reads: a plain `int` is a count.
Money = Annotated[int, "money"]  # minor units of the store's currency
Time = Annotated[int, "time"]  # UTC milliseconds
Span = Annotated[int, "duration"]  # milliseconds


class CartItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a cart or an order."""

    product_id: str
    quantity: int = 1
    price: Money | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    image: str | None = None
    url: str | None = None


class Cart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cart as its last writer left it: last by the event's `at`, ties by event id."""

    items: tuple[CartItem, ...] = ()
    total: Money = 0
    url: str | None = None
    changed_at: Time | None = None
    changed_by: str = ""
    whole_at: Time | None = None  # the last whole cart: an older single change says nothing any more
    brought_at: Time | None = None  # the last whole cart that a visitor brought, where one signed in
    came: tuple[tuple[str, Time], ...] = ()  # the products of those carts, each with the time of the sign-in


class Consent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A customer's word on one channel and purpose ("*" for any), with its proof; with `until` it is a pause."""

    channel: str
    purpose: str
    given: bool
    at: Time
    event: str
    proof: str = ""
    until: Time | None = None


class Attribute(msgspec.Struct, frozen=True, array_like=True):
    """One attribute with the time and event that wrote it: last writer by `at`, ties by event id."""

    value: Any
    at: Time
    event: str


class Cold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changes seldom: attributes, consents, cart, interests."""

    attributes: dict[str, Attribute] = {}
    consents: tuple[Consent, ...] = ()
    cart: Cart = Cart()
    categories: dict[str, int] = {}
    brands: dict[str, int] = {}
    products: dict[str, int] = {}
    bought: tuple[str, ...] = ()
    channels: dict[str, int] = {}
    devices: dict[str, int] = {}
    hours: dict[str, tuple[int, ...]] = {}  # channel -> opens and clicks in each of the 24 hours of the local day
    months: dict[str, int] = {}  # orders by month of the year, "1" to "12"
    pages: dict[str, tuple[int, int]] = {}  # page type -> visits, time on it (ms); only where a plan reads it
    same: dict[str, dict[str, tuple[tuple[int, int], ...]]] = {}  # counter -> value -> buckets, see engine.counts


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Recency, frequency and money, and the counters that conditions read."""

    first_seen: Time | None = None
    last_seen: Time | None = None
    last_visit_at: Time | None = None
    last_open_at: Time | None = None
    last_click_at: Time | None = None
    last_order_at: Time | None = None
    first_order_at: Time | None = None
    last_return_at: Time | None = None
    orders: int = 0
    visits: int = 0
    opens: int = 0
    clicks: int = 0
    spent: Money = 0
    refunded: Money = 0
    last_rating: int | None = None
    last_rating_at: Time | None = None
    uncounted: int = 0  # amounts in a currency without a rate


class Remembered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the last 8 events (by `at`) of a type that an active scenario uses as exit, goal or in a `wait_for`."""

    id: str
    type: str
    at: Time
    data: dict[str, Any] = {}


NEVER = 2**62


class Waiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The wait at which an enrolment stands: begun at `since`, over at `due` (NEVER: none), `due_max` at most.

    `look` is when time alone may turn a condition that would end the wait before, or the enrolment (NEVER: none).
    """

    since: Time
    due: Time
    due_max: Time | None = None
    look: Time = NEVER


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event that began an enrolment (or would begin the next): only the fields that the scenario names."""

    event: str
    type: str
    at: Time
    data: dict[str, Any] = {}
    name: str = ""
    source: str = ""
    partition: int = 0
    offset: int = 0
    depth: int = 0
    started: bool = False  # by another scenario's step


class Sent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command of an enrolment: unsettled until a receipt or `valid_until`."""

    step: str
    command: str
    at: Time
    channel: str
    valid_until: Time
    settled: str = ""  # "" or the receipt's state


class Passed(msgspec.Struct, frozen=True, array_like=True):
    """A send or split that was passed ("" before the first), and the way by which each wait since was left."""

    step: str
    ways: tuple[int, ...] = ()


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One customer's passage through one scenario.

    `clock` is the time at which the last step was done (entry's `at` at first): waits count from it. `at_step` is the
    index of the op in the version's program at which it stands. `closing` means that its last message is out and
    that only exits and receipts act on it still. `next_entry` is the latest entry event that came while inside, `by`
    the event that ended the last `wait_for`, which satisfies no second one. `trail` is what an edit is mapped by.
    Nothing due before `live_from` is sent of one that a backfill took in.
    """

    id: str
    scenario: str
    version: str
    entry: Entry
    clock: Time
    at_step: int = 0
    waiting: Waiting | None = None
    sent: tuple[Sent, ...] = ()
    paths: dict[str, str] = {}
    names: dict[str, Remembered] = {}
    key: str = ""  # value of `per`, if any
    closing: bool = False
    held_out: bool = False
    goal_at: Time | None = None
    ended_at: Time | None = None
    next_entry: Entry | None = None
    by: str = ""
    trail: tuple[Passed, ...] = ()
    live_from: Time = 0


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place under the caps and limits, held from emission; a receipt moves it to the call's time or gives it back."""

    command: str
    scenario: str
    step: str
    channel: str
    purpose: str
    at: Time
    priority: int = 0


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A start put off at activation: who is in a segment already enters at `due`, if they still are."""

    due: Time
    scenario: str
    entry: str


class Session(msgspec.Struct, frozen=True, array_like=True):
    """The visit at hand: its first and last page, how many, and whether its end was told."""

    began_at: Time
    last_at: Time
    pages: int
    over: bool = False


class Tracked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a customer stands in segments, levels, scores and counts; only what the plan uses.

    `due` is when a condition on time may next change, or a date comes: never later than that, seldom earlier; None
    before the first look. A score is (1/1000 points, the time to which it is decayed), a count its buckets.
    """

    due: Time | None = None
    segments: tuple[str, ...] = ()
    levels: dict[str, str] = {}
    scores: dict[str, tuple[int, int]] = {}
    counts: dict[str, tuple[tuple[int, int], ...]] = {}
    pending: tuple[Pending, ...] = ()
    session: Session | None = None  # only where a plan listens to its end


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the last enrolment of (scenario, key) ended, for `again`."""

    scenario: str
    at: Time
    key: str = ""
    started_by: str = ""  # the entry event, where another scenario, or a date, began it: it begins it once


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a visitor turned out to be, or which visitors a known customer was.

    `alias_of` is the known id of a visitor who signed in at `linked_at`; from `shared_at` on somebody else has signed
    in on the same device. `aliases` are the anonymous ids of a known customer, the latest last.
    """

    alias_of: str = ""
    linked_at: Time = 0
    shared_at: Time | None = None
    aliases: tuple[str, ...] = ()


class Customer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is kept of one customer. `now` is the time of their last step; `activated` the plan of their last pass.

    `recent` holds the last 32 event ids, for the duplicate check. `identity` is None where there is nothing to say.
    """

    id: str
    now: Time = 0
    activated: str = ""
    recent: tuple[str, ...] = ()
    profile: Profile = Profile()
    cold: Cold = Cold()
    remembered: tuple[Remembered, ...] = ()
    enrolments: tuple[Enrolment, ...] = ()
    places: tuple[Place, ...] = ()
    ended: tuple[Ended, ...] = ()
    identity: Identity | None = None
    tracked: Tracked = Tracked()
