"""The cart: whole carts are last-writer by `at`, single changes add up, an order empties it."""

from typing import Any

from msgspec.structs import replace

from models.customer import Cart, CartItem
from models.event import Event
from models.money import convert
from pipeline.engine.plan import Settings

# Beyond what a person puts in a cart; the rest of a longer one is not kept.
ITEMS_MAX = 50
ITEM_FIELDS = tuple(CartItem.__struct_fields__)
CART_EVENTS = frozenset({"cart_updated", "cart_item_added", "cart_item_removed", "order_placed"})


def item_of(line: dict[str, Any], currency: str, settings: Settings) -> CartItem:
    """Return a line of an event as a cart item, its price in the store's currency (None without a rate)."""
    fields = {name: line[name] for name in ITEM_FIELDS if line.get(name) is not None}
    if "price" in fields:
        fields["price"] = convert(fields["price"], currency, settings.currency, settings.rates)
    return CartItem(**fields)


def total_of(items: tuple[CartItem, ...]) -> int:
    """Return the sum of the lines in minor units."""
    return sum((item.price or 0) * item.quantity for item in items)


def _added(cart: Cart, event: Event, settings: Settings) -> tuple[CartItem, ...]:
    new = item_of(
        {**event.data, "url": event.data.get("url")}, event.data.get("currency") or settings.currency, settings
    )
    for index, item in enumerate(cart.items):
        if item.product_id == new.product_id:
            more = replace(new, quantity=item.quantity + new.quantity)
            return (*cart.items[:index], more, *cart.items[index + 1 :])
    return (*cart.items, new)[:ITEMS_MAX]


def _removed(cart: Cart, event: Event) -> tuple[CartItem, ...]:
    product, quantity = event.data["product_id"], event.data.get("quantity", 1)
    left = (
        replace(item, quantity=item.quantity - quantity) if item.product_id == product else item for item in cart.items
    )
    return tuple(item for item in left if item.quantity > 0)


def _whole(cart: Cart, event: Event, settings: Settings) -> Cart:
    currency = event.data.get("currency") or settings.currency
    items = tuple(item_of(line, currency, settings) for line in event.data["items"][:ITEMS_MAX])
    given = event.data.get("total")
    total = None if given is None else convert(given, currency, settings.currency, settings.rates)
    return Cart(
        items=items,
        total=total_of(items) if total is None else total,
        url=event.data.get("url"),
        changed_at=event.at,
        changed_by=event.id,
        whole_at=event.at,
    )


def update(cart: Cart, event: Event, last_order_at: int | None, settings: Settings) -> Cart:
    """Return the cart after an event; the same object where the event says nothing new.

    A cart event that is not newer than the customer's last order changes nothing: it was paid for, or was before.
    """
    at = event.at
    if event.type == "order_placed":
        if cart.changed_at is not None and cart.changed_at > at:
            return cart
        return Cart(changed_at=at, changed_by=event.id) if cart.items else cart
    if last_order_at is not None and at <= last_order_at:
        return cart
    if event.type == "cart_updated":
        if cart.changed_at is not None and (at, event.id) < (cart.changed_at, cart.changed_by):
            return cart
        return _whole(cart, event, settings)
    if cart.whole_at is not None and at < cart.whole_at:
        return cart
    items = _added(cart, event, settings) if event.type == "cart_item_added" else _removed(cart, event)
    later = cart.changed_at is None or at >= cart.changed_at
    return replace(
        cart,
        items=items,
        total=total_of(items),
        url=event.data.get("cart_url") or cart.url,
        changed_at=at if later else cart.changed_at,
        changed_by=event.id if later else cart.changed_by,
    )


def differs(old: Cart, new: Cart) -> bool:
    """Say whether the content differs: what `cart_changed` stands for."""
    return old is not new and (old.items != new.items or old.total != new.total)
