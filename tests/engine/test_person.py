"""Attributes, consents and interests: last writer by `at`, ties by event id, all bounded."""

from itertools import permutations

from models.customer import Cold
from models.event import Event
from pipeline.engine.interests import BOUGHT_MAX, COUNTED_MAX
from pipeline.engine.person import ATTRIBUTES_MAX, CONSENTS_MAX, address_of, consents_to, text_of, value_of
from pipeline.engine.plan import Settings
from tests.engine.build import T0, Life, event, order, plan, view

SHY = Settings()


def cold_of(*events: Event) -> Cold:
    return Life(plan()).feed(*events, watermark=0).known.cold


def says(at: int, given: bool, channel: str = "email", purpose: str = "marketing") -> Event:
    return event("consent_changed", at, for_channel=channel, purpose=purpose, given=given, proof="form 7")


def test_known_fields_and_own_attributes_are_kept() -> None:
    found = cold_of(event("customer_signed_up", T0, email="a@shop.example", attributes={"size": 42, "tags": ["x"]}))
    assert [value_of(found, name) for name in ("email", "size", "tags", "phone")] == [
        "a@shop.example", 42, ["x"], None,
    ]  # fmt: skip


def test_the_later_word_on_an_attribute_wins_in_any_order_of_reading() -> None:
    events = [event("customer_updated", T0 + n, city=city) for n, city in enumerate(("Lyon", "Lille", "Nantes"))]
    assert {value_of(cold_of(*some), "city") for some in permutations(events)} == {"Nantes"}


def test_none_removes_an_attribute_and_an_older_value_does_not_bring_it_back() -> None:
    removed = event("customer_updated", T0 + 5, attributes={"city": None})
    assert value_of(cold_of(removed, event("customer_updated", T0, city="Lyon")), "city") is None


def test_attributes_are_bounded_in_number_and_known_ones_still_change() -> None:
    many = {f"a{n:03}": n for n in range(ATTRIBUTES_MAX + 20)}
    found = cold_of(
        event("customer_updated", T0, attributes=many), event("customer_updated", T0 + 1, attributes={"a000": "new"})
    )
    assert len(found.attributes) == ATTRIBUTES_MAX
    assert value_of(found, "a000") == "new"


def test_an_address_is_a_text_with_something_in_it() -> None:
    assert address_of(cold_of(event("customer_updated", T0, email="")), "email") is None
    assert (
        address_of(cold_of(event("customer_updated", T0, attributes={"phone": 33}, email="x@y.example")), "sms") is None
    )
    assert address_of(cold_of(view(T0)), "webhook") == ""
    assert text_of(cold_of(event("customer_updated", T0, language="fr")), "language") == "fr"


def test_only_marketing_needs_consent_and_silence_is_what_the_setting_says() -> None:
    nobody = cold_of(view(T0))
    assert consents_to(nobody, "email", "transactional", SHY)
    assert not consents_to(nobody, "email", "marketing", SHY)
    assert consents_to(nobody, "email", "marketing", Settings(consent_default="granted"))


def test_the_latest_word_that_covers_channel_and_purpose_counts_in_any_order_of_reading() -> None:
    events = [says(T0, True), says(T0 + 1, False, "*"), says(T0 + 2, True, "sms"), says(T0 + 3, True, "*", "other")]
    for some in permutations(events):
        found = cold_of(*some)
        assert not consents_to(found, "email", "marketing", SHY)
        assert consents_to(found, "sms", "marketing", SHY)


def test_the_later_word_on_one_channel_and_purpose_stays_in_any_order_of_reading() -> None:
    events = [says(T0, True), says(T0 + 1, False), says(T0 + 2, True)]
    for some in permutations(events):
        assert [(one.given, one.at) for one in cold_of(*some).consents] == [(True, T0 + 2)]


def test_consents_come_with_a_sign_up_too_and_keep_their_proof() -> None:
    found = cold_of(event("customer_signed_up", T0, consents=[{"for_channel": "email", "given": True, "proof": "box"}]))
    assert consents_to(found, "email", "marketing", SHY)
    assert found.consents[0].proof == "box"


def test_a_complaint_an_unsubscription_and_a_permanent_bounce_withdraw_the_channel_for_marketing() -> None:
    for kind in ("complained", "unsubscribed", "bounced"):
        found = cold_of(says(T0, True, "*"), event(f"message_{kind}", T0 + 1, channel="email", permanent=True))
        assert not consents_to(found, "email", "marketing", SHY), kind
        assert consents_to(found, "sms", "marketing", SHY), kind


def test_a_passing_bounce_withdraws_nothing() -> None:
    assert consents_to(
        cold_of(says(T0, True), event("message_bounced", T0 + 1, channel="email")), "email", "marketing", SHY
    )


def test_consents_are_bounded() -> None:
    found = cold_of(*[says(T0 + n, True, "email", f"p{n}") for n in range(CONSENTS_MAX + 5)])
    assert len(found.consents) == CONSENTS_MAX


def test_interests_count_what_is_looked_at_put_in_a_cart_and_bought() -> None:
    found = cold_of(
        event("product_viewed", T0, product_id="p1", category="shoes", brand="acme"),
        event("cart_item_added", T0 + 1, product_id="p1", category="shoes"),
        event(
            "order_placed",
            T0 + 2,
            order_id="o",
            items=[{"product_id": "p1", "category": "shoes"}, {"product_id": "p2"}],
        ),
        view(T0 + 3, category="hats"),
    )
    assert (found.categories, found.brands) == ({"shoes": 3}, {"acme": 1})
    assert (found.products, found.bought) == ({"p1": 3, "p2": 1}, ("p1", "p2"))


def test_interests_are_bounded_and_what_is_seen_most_stays() -> None:
    often = [event("product_viewed", T0 + n, category="often") for n in range(30)]
    others = [event("product_viewed", T0 + 100 + n, category=f"c{n}") for n in range(40)]
    found = cold_of(*often, *others)
    assert len(found.categories) == COUNTED_MAX
    assert max(found.categories, key=lambda name: found.categories[name]) == "often"


def test_bought_products_are_the_latest_fifty_each_once() -> None:
    lines = [[{"product_id": f"p{n}"}] for n in (*range(60), 30)]
    found = cold_of(
        *[
            order(T0 + n, f"o{n}") if not some else event("order_placed", T0 + n, order_id=f"o{n}", items=some)
            for n, some in enumerate(lines)
        ]
    )
    assert len(found.bought) == BOUGHT_MAX
    assert found.bought[-1] == "p30"
    assert len(dict.fromkeys(found.bought)) == BOUGHT_MAX


def test_channels_and_devices_are_counted_but_not_those_of_our_own_messages() -> None:
    found = cold_of(
        view(T0, channel="web", device="phone"), event("message_opened", T0 + 1, channel="email", device="phone")
    )
    assert (found.channels, found.devices) == ({"web": 1}, {"phone": 2})
