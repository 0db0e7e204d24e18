"""The native event types and their fields: what intake validates and what expressions may name.

A field's type says how a raw value is read: `Money` from a decimal amount, `Time` from ISO 8601 or epoch seconds or
milliseconds; both are whole numbers inside. Fields that a source leaves out are absent from `Event.data`.
"""

from typing import Any

import msgspec

from models.customer import CartItem, Money, Time


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields that any event may have."""

    channel: str | None = None
    device: str | None = None
    session_id: str | None = None


class Viewed(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A page, a product, a list or a search result was looked at."""

    page_type: str | None = None
    url: str | None = None
    time_on_page: int | None = None  # milliseconds
    product_id: str | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    price: Money | None = None
    image: str | None = None
    query: str | None = None
    currency: str | None = None


class WishlistChanged(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """The wish list, whole."""

    items: list[CartItem]


class CartUpdated(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A whole cart; without `total` the sum of its lines."""

    items: list[CartItem]
    total: Money | None = None
    url: str | None = None
    currency: str | None = None


class CartItemChanged(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """One product put in or taken out of the cart."""

    product_id: str
    quantity: int = 1
    price: Money | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    image: str | None = None
    url: str | None = None
    cart_url: str | None = None
    currency: str | None = None


class CheckoutStarted(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """The customer is at the till."""

    total: Money | None = None
    currency: str | None = None


class OrderPlaced(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """An order; without `total` the sum of its lines."""

    order_id: str
    items: list[CartItem] = []
    total: Money | None = None
    currency: str | None = None
    url: str | None = None


class OrderChanged(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """An order was cancelled, refunded, returned, shipped or delivered; `amount` is what was given back."""

    order_id: str
    amount: Money | None = None
    items: list[CartItem] = []
    currency: str | None = None
    carrier: str | None = None
    tracking_url: str | None = None
    expected_at: Time | None = None
    reason: str | None = None


class ReviewPosted(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A rating from 1 to 5."""

    rating: int
    product_id: str | None = None
    order_id: str | None = None
    text: str | None = None


class Payment(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A payment that is due or was received."""

    payment_id: str
    amount: Money | None = None
    due_on: Time | None = None
    instalment: int | None = None
    currency: str | None = None
    order_id: str | None = None


class Person(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """What a customer says of themselves; any other attribute stands in `attributes`; None takes one away."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    birthday: str | None = None
    gender: str | None = None
    city: str | None = None
    country: str | None = None
    language: str | None = None
    timezone: str | None = None
    attributes: dict[str, Any] = {}
    consents: list["ConsentChanged"] = []


class IdentityLinked(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """The event's customer, an anonymous id, is from now on known as `known_id`."""

    known_id: str


class ConsentChanged(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """Consent to a channel and purpose given or withdrawn ("*" for any); `for_channel` is the channel meant.

    With `until` it is a pause: nothing is sent before that time, and what was consented to stays so.
    """

    for_channel: str = "*"
    purpose: str = "marketing"
    given: bool
    proof: str | None = None
    until: Time | None = None


class ErasureRequested(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """The customer asks to be forgotten."""


class ContactMade(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """The customer spoke to the store."""

    medium: str | None = None
    kind: str | None = None  # question, complaint
    topic: str | None = None


class MessageEvent(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """Something happened to a message of ours."""

    command_id: str | None = None
    scenario: str | None = None
    step: str | None = None
    purpose: str | None = None
    reason: str | None = None
    machine: bool | None = None
    permanent: bool | None = None
    url: str | None = None


class Empty(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """No fields of its own."""


VIEWED = ("session_started", "page_viewed", "product_viewed", "product_list_viewed", "search_performed")
ORDER_CHANGED = ("order_cancelled", "order_refunded", "order_returned", "order_shipped", "order_delivered")
MESSAGE_STATES = (
    "sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed",
    "expired", "rejected", "cancelled", "unknown", "dismissed",
)  # fmt: skip
MESSAGE_TYPES = tuple(f"message_{state}" for state in MESSAGE_STATES)

PAYLOADS: dict[str, type[Payload]] = {
    **dict.fromkeys(VIEWED, Viewed),
    "wishlist_changed": WishlistChanged,
    "cart_updated": CartUpdated,
    "cart_item_added": CartItemChanged,
    "cart_item_removed": CartItemChanged,
    "checkout_started": CheckoutStarted,
    "order_placed": OrderPlaced,
    **dict.fromkeys(ORDER_CHANGED, OrderChanged),
    "review_posted": ReviewPosted,
    "payment_due": Payment,
    "payment_received": Payment,
    "customer_signed_up": Person,
    "customer_updated": Person,
    "identity_linked": IdentityLinked,
    "consent_changed": ConsentChanged,
    "erasure_requested": ErasureRequested,
    "contact_made": ContactMade,
    **dict.fromkeys(MESSAGE_TYPES, MessageEvent),
}

# What a date or calendar entry begins with.
DATE_REACHED = "date_reached"
SESSION_ENDED = "session_ended"
# Derived inside the engine from others; no source may send them.
DERIVED = ("cart_changed", SESSION_ENDED, "identity_merged", "enrolment_backfilled")

# A sign of the customer's own hand: these move `last_seen` (a shipment or a receipt does not).
OWN_ACTS = frozenset(
    {*VIEWED, "wishlist_changed", "cart_updated", "cart_item_added", "cart_item_removed", "checkout_started"}
    | {"order_placed", "order_cancelled", "order_returned", "review_posted", "customer_signed_up", "customer_updated"}
    | {"consent_changed", "contact_made", "message_clicked"}
)
