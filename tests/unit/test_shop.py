"""The simulated shop is the same after a restart."""

import itertools

from agents.shop.simulator import OFFSETS_AN_HOUR, Shop


def shop() -> Shop:
    return Shop(1, lambda hour: [(f"{hour:032x}", "r1")])


def test_records_from_an_offset_are_those_of_an_unbroken_run() -> None:
    whole = list(itertools.islice(shop().records(0), 1_200))
    again = list(itertools.islice(shop().records(whole[700].offset), 500))
    assert again == whole[700:]


def test_times_never_go_back_and_offsets_go_up() -> None:
    whole = list(itertools.islice(shop().records(0), 3_000))
    assert [one.offset for one in whole] == sorted({one.offset for one in whole})
    times = [one.timestamp_ms for one in whole]
    assert times == sorted(times)


def test_every_kind_of_event_appears() -> None:
    kinds = {body["type"] for hour in range(80) for body in shop().hour(hour)}
    assert kinds >= {
        "customer_signed_up", "product_viewed", "cart_updated", "order_placed", "order_shipped", "order_delivered",
        "message_opened",
    }  # fmt: skip


def test_an_hour_has_room_for_its_records() -> None:
    assert max(len(shop().hour(hour)) for hour in range(48)) < OFFSETS_AN_HOUR
