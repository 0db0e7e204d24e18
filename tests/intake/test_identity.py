"""Anonymous ids of sources: whose a record is, and which records are sign-ins."""

from typing import Any

import pytest

from models.dead_letter import DeadLetter
from models.event import Event
from tests.intake.build import T0, event, letter, mapper, native_mapper, record


def native(**fields: Any) -> list[Event | DeadLetter]:
    return native_mapper().feed(record({"type": "page_viewed", "occurred_at": T0, **fields}))


@pytest.mark.parametrize("said", ["v1", "anon:v1"])
def test_a_record_with_an_anonymous_id_alone_is_the_visitors(said: str) -> None:
    found = event(native(anonymous_id=said))
    assert (found.customer, found.data) == ("anon:v1", {})


def test_a_number_is_an_anonymous_id_too() -> None:
    assert event(native(anonymous_id=17)).customer == "anon:17"


def test_beside_a_customer_an_anonymous_id_says_nothing_of_an_ordinary_record() -> None:
    found = event(native(customer="c1", anonymous_id="v1"))
    assert (found.customer, found.data) == ("c1", {})


@pytest.mark.parametrize(
    "fields",
    [
        {"customer": "anon:v1", "known_id": "c1"},
        {"anonymous_id": "v1", "known_id": "c1"},
        {"anonymous_id": "v1", "customer": "c1"},
        {"anonymous_id": "v1", "customer": "c9", "known_id": "c1"},
    ],
)
def test_a_link_is_the_visitors_event_however_its_two_ids_are_said(fields: dict[str, Any]) -> None:
    found = native(type="identity_linked", **fields)
    if fields.get("customer") == "c9":
        assert event(found).customer == "c9", "both are said: the engine refuses a customer who is not a visitor"
        return
    assert (event(found).customer, event(found).data) == ("anon:v1", {"known_id": "c1"})


def test_a_link_to_a_number_names_the_customer_of_that_number() -> None:
    assert event(native(type="identity_linked", anonymous_id="v", known_id=7)).data == {"known_id": "7"}


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"customer": "anon:v1"}, "required field `known_id`", "$"),
        ({"known_id": "c1"}, "required field `customer`", "$"),
        ({"customer": "anon:v1", "known_id": ""}, "no customer", "$.known_id"),
        ({"customer": "anon:v1", "known_id": "x" * 257}, "over 256 bytes", "$.known_id"),
        ({"customer": "anon:v1", "known_id": "a\nb"}, "control characters", "$.known_id"),
        ({"anonymous_id": "v" * 256, "known_id": "c1"}, "over 256 bytes", "$.anonymous_id"),
        ({"anonymous_id": "", "known_id": "c1"}, "no customer", "$.anonymous_id"),
    ],
)
def test_a_link_that_lacks_an_id_or_has_a_bad_one_is_a_dead_letter(
    fields: dict[str, Any], reason: str, path: str
) -> None:
    found = letter(native(type="identity_linked", **fields))
    assert reason in found.reason
    assert found.path == path


def test_a_sign_up_with_both_ids_is_a_link_too_with_an_id_and_a_place_of_its_own() -> None:
    body = {"type": "customer_signed_up", "customer": "c1", "anonymous_id": "v1", "email": "a@shop.example"}
    signed_up, linked = (one for one in native(**body) if isinstance(one, Event))
    assert (signed_up.customer, signed_up.type, signed_up.position.index) == ("c1", "customer_signed_up", 0)
    assert (linked.customer, linked.type, linked.position.index) == ("anon:v1", "identity_linked", 1)
    assert linked.data == {"known_id": "c1"}
    assert (linked.at, linked.id != signed_up.id) == (signed_up.at, True)
    assert [one.id for one in native(**body) if isinstance(one, Event)] == [signed_up.id, linked.id]


def test_a_merge_is_the_engines_own_event_and_no_source_may_send_it() -> None:
    assert "identity_merged" in letter(native(type="identity_merged", customer="c1")).reason


def shop() -> Any:
    return mapper(
        anonymous="cookie",
        events=[
            {"type": "identity_linked", "when": {"do": "login"}},
            {"type": "customer_signed_up", "when": {"do": "join"}, "fields": {"email": "mail"}},
            {"type": "page_viewed", "when": {"do": "look"}},
        ],
    )


def test_a_mapping_names_the_visitors_id_and_which_records_are_sign_ins() -> None:
    subject = shop()

    def fed(**fields: Any) -> list[tuple[str, str, dict[str, Any]]]:
        found = subject.feed(record({"at": T0, **fields}))
        return [(one.type, one.customer, one.data) for one in found]

    assert fed(do="look", cookie="v") == [("page_viewed", "anon:v", {})]
    assert fed(do="look", cookie="v", who="c1") == [("page_viewed", "c1", {})]
    assert fed(do="login", cookie="v", who="c1") == [("identity_linked", "anon:v", {"known_id": "c1"})]
    assert fed(do="join", cookie="v", who="c1", mail="a@b.example") == [
        ("customer_signed_up", "c1", {"email": "a@b.example"}),
        ("identity_linked", "anon:v", {"known_id": "c1"}),
    ]
    assert letter(subject.feed(record({"at": T0, "do": "look"}))).reason == "no customer"
