"""The cart: whole carts are last-writer by `at`, single changes add up, an order empties it.

A whole cart already holds the single changes up to its own millisecond, so those that are read after it change nothing.
A single change that was read before an older whole cart is not undone: nothing says any more what it was made of.
What a visitor brought at a sign-in stays beside a whole cart from before it, which could not know of it.
"""

from typing import Any

from msgspec.structs import replace

from models.customer import Cart, CartItem
from models.event import Event
from models.money import convert
from pipeline.engine.bounds import bounded
from pipeline.engine.plan import Settings

# Beyond what a person puts in a cart; the rest of a longer one is not kept.
ITEMS_MAX = 50
ITEM_FIELDS = frozenset(CartItem.__struct_fields__)
CART_EVENTS = frozenset({"cart_updated", "cart_item_added", "cart_item_removed", "order_placed"})


def item_of(line: dict[str, Any], currency: str, settings: Settings) -> CartItem:
    """Return a line of an event as a cart item, its price in the store's currency (None without a rate)."""
    fields: dict[str, Any] = {
        name: value if type(value) is int else bounded(value)
        for name, value in line.items()
        if value is not None and name in ITEM_FIELDS
    }
    if "price" in fields:
        fields["price"] = convert(fields["price"], currency, settings.currency, settings.rates)
    return CartItem(**fields)


def total_of(items: tuple[CartItem, ...]) -> int:
    """Return the sum of the lines in minor units."""
    return sum((item.price or 0) * item.quantity for item in items)


def _added(cart: Cart, event: Event, settings: Settings, *, later: bool) -> tuple[CartItem, ...]:
    new = item_of(event.data, event.data.get("currency") or settings.currency, settings)
    for index, item in enumerate(cart.items):
        if item.product_id == new.product_id:
            # Quantities add up in any order; name, price and picture are the later one's.
            both = replace(new if later else item, quantity=item.quantity + new.quantity)
            return (*cart.items[:index], both, *cart.items[index + 1 :])
    return (*cart.items, new)[:ITEMS_MAX]


def _removed(cart: Cart, event: Event) -> tuple[CartItem, ...]:
    product, quantity = event.data["product_id"], event.data.get("quantity", 1)
    left = (
        replace(item, quantity=item.quantity - quantity) if item.product_id == product else item for item in cart.items
    )
    return tuple(item for item in left if item.quantity > 0)


def _whole(event: Event, settings: Settings) -> Cart:
    currency = event.data.get("currency") or settings.currency
    items = tuple(item_of(line, currency, settings) for line in event.data["items"][:ITEMS_MAX])
    given = event.data.get("total")
    total = None if given is None else convert(given, currency, settings.currency, settings.rates)
    return Cart(
        items=items,
        total=total_of(items) if total is None else total,
        url=bounded(event.data.get("url")),
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
        if cart.came:
            return _whole_beside(cart, event, settings)
        return cart if _loses(cart, event) else _whole(event, settings)
    if at <= max(cart.whole_at or 0, cart.brought_at or 0):
        return cart
    return _single(cart, event, settings)


def _whole_beside(cart: Cart, event: Event, settings: Settings) -> Cart:
    """Return the cart after a whole cart, where a visitor brought one too: what came by a sign-in after it stays.

    It is put together as at a sign-in: the lines of the later one, and of the other those that it lacks.
    """
    whole, came = _whole(event, settings), tuple(one for one in cart.came if one[1] > event.at)
    names = [product for product, _ in came]
    brought = tuple(item for item in cart.items if item.product_id in names)
    if not _loses(cart, event):
        more = _lacking(whole.items, brought)
        items, total = (*whole.items, *more), whole.total + total_of(more)
        if _by_product(items) == _by_product(cart.items):
            items = cart.items  # nothing has changed: the order of the lines is of the reading
        return replace(whole, items=items, total=total, brought_at=cart.brought_at, came=came)
    if cart.changed_at != cart.brought_at or (cart.whole_at is not None and event.at <= cart.whole_at):
        return cart
    more, gone = _lacking(brought, whole.items), _lacking(brought, cart.items)
    total = cart.total - total_of(gone) + total_of(more)
    return replace(cart, items=(*brought, *more), total=total, whole_at=event.at, came=came)


def _by_product(items: tuple[CartItem, ...]) -> list[CartItem]:
    return sorted(items, key=lambda item: item.product_id)


def _lacking(have: tuple[CartItem, ...], others: tuple[CartItem, ...]) -> tuple[CartItem, ...]:
    """Return those of other lines whose product is not there yet, as far as there is room."""
    names = [item.product_id for item in have]
    return tuple(item for item in others if item.product_id not in names)[: ITEMS_MAX - len(have)]


def _loses(cart: Cart, event: Event) -> bool:
    """Say whether a whole cart is older than what is known: by `at`, ties between whole carts by event id."""
    if cart.changed_at is None or event.at > cart.changed_at:
        return False
    return event.at < cart.changed_at or (cart.whole_at == event.at and event.id < cart.changed_by)


def _single(cart: Cart, event: Event, settings: Settings) -> Cart:
    later = cart.changed_at is None or (event.at, event.id) > (cart.changed_at, cart.changed_by)
    added = event.type == "cart_item_added"
    items = _added(cart, event, settings, later=later) if added else _removed(cart, event)
    url = bounded(event.data.get("cart_url"))
    return replace(
        cart,
        items=items,
        total=total_of(items),
        url=url or cart.url if later else cart.url or url,
        changed_at=event.at if later else cart.changed_at,
        changed_by=event.id if later else cart.changed_by,
    )


def differs(old: Cart, new: Cart) -> bool:
    """Say whether the content differs: what `cart_changed` stands for."""
    return old is not new and (old.items != new.items or old.total != new.total)
