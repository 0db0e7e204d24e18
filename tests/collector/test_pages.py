"""Unsubscribe and preferences: a GET changes nothing, a POST does, and nobody else's."""

import re

import pytest
from msgspec.structs import replace

from agents.collector.hub import Wishes
from pipeline.sending.links import OPEN, PREFERENCES, UNSUBSCRIBE
from tests.collector.kit import ABOUT, Desk, refusals
from tests.sending.build import command

ONE_CLICK = {"content": b"List-Unsubscribe=One-Click", "headers": {"content-type": "application/x-www-form-urlencoded"}}


async def test_opening_the_page_changes_nothing_and_asks() -> None:
    desk = Desk()
    for method in ("GET", "HEAD"):
        answer = await desk.client.request(method, f"/u/{desk.token(UNSUBSCRIBE)}")
        assert answer.status_code == 200
    page = (await desk.client.get(f"/u/{desk.token(UNSUBSCRIBE)}")).text
    assert "Shop &amp; Co" in page and '<form method="post"><button>' in page
    assert desk.intake.heard == []


async def test_one_click_unsubscribes_with_a_form_of_either_kind_and_without_any() -> None:
    for content in (ONE_CLICK, {"files": {"List-Unsubscribe": (None, "One-Click")}}, {}):
        desk = Desk()
        answer = await desk.client.post(f"/u/{desk.token(UNSUBSCRIBE)}", **content)  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert (desk.types, desk.intake.events[0]["channel"]) == (["message_unsubscribed"], "email")
        assert desk.intake.table.reason(command(1)) == "unsubscribed"
        assert desk.intake.table.reason(command(1, purpose="transactional")) is None
        assert desk.intake.table.reason(command(2)) is None


async def test_a_wrong_token_unsubscribes_nobody() -> None:
    desk = Desk()
    for token in ("x", desk.token(OPEN), desk.token(PREFERENCES), desk.token(UNSUBSCRIBE)[:-2]):
        assert (await desk.client.post(f"/u/{token}", **ONE_CLICK)).status_code == 404  # type: ignore[arg-type]
    assert desk.intake.heard == []


async def test_what_was_not_kept_is_not_confirmed() -> None:
    desk = Desk()
    desk.intake.broken = True
    answer = await desk.client.post(f"/u/{desk.token(UNSUBSCRIBE)}", **ONE_CLICK)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "disk" not in answer.text


async def test_preferences_are_taken_by_channel_and_a_pause_for_all() -> None:
    desk = Desk()
    path = f"/p/{desk.token(PREFERENCES)}"
    assert (await desk.client.get(path)).status_code == 200 and desk.intake.heard == []
    answer = await desk.client.post(path, data={"email": "no", "sms": "yes", "pause": "month"})
    assert "Saved" in answer.text
    email, sms, pause = desk.intake.events
    assert (email["for_channel"], email["given"], sms["for_channel"], sms["given"]) == ("email", False, "sms", True)
    assert (pause["for_channel"], pause["given"], pause["until"]) == ("*", False, desk.now + 30 * 86_400_000)
    assert desk.intake.table.reason(command(1)) == "unsubscribed"
    desk.now += 1_000
    await desk.client.post(path, data={"email": "yes", "sms": "keep", "pause": "end"})
    assert [event["type"] for event in desk.intake.events[3:]] == ["consent_changed"] * 2
    assert desk.intake.events[-1]["until"] == desk.now
    assert desk.intake.table.reason(command(1)) is None


async def test_the_page_shows_what_is_known_and_else_offers_to_leave_it() -> None:
    known = Desk(lookup=lambda customer: Wishes({"email": True, "sms": False}, 1_790_000_000_000))
    page = (await known.client.get(f"/p/{known.token(PREFERENCES)}")).text
    assert re.search(r'name="email" value="yes" checked', page) and re.search(r'name="sms" value="no" checked', page)
    assert "Paused until 2026-09-21" in page and 'name="sms" value="keep"' not in page
    page = (await Desk().client.get(f"/p/{known.token(PREFERENCES)}")).text
    assert page.count('value="keep" checked') == 3


@pytest.mark.parametrize("body", [b"email=maybe", b"fax=yes", b"email=yes&email=no", b"pause=", b"=&=&", b"\xff\xfe=1", b"a" * 20_000])  # fmt: skip
async def test_a_form_that_is_not_ours_changes_nothing(body: bytes) -> None:
    desk = Desk()
    answer = await desk.client.post(f"/p/{desk.token(PREFERENCES)}", content=body)
    assert answer.status_code in {400, 413}
    assert desk.intake.heard == []


async def test_pages_speak_the_customers_language_and_carry_their_heads() -> None:
    desk = Desk()
    answer = await desk.client.get(f"/u/{desk.token(UNSUBSCRIBE, replace(ABOUT, language='fr'))}")
    assert 'lang="fr"' in answer.text and "Se désabonner" in answer.text
    heads = answer.headers
    assert "default-src 'none'" in heads["content-security-policy"] and heads["x-content-type-options"] == "nosniff"
    assert (heads["referrer-policy"], heads["cache-control"]) == ("no-referrer", "no-store")


async def test_who_keeps_asking_for_what_is_not_there_is_slowed_and_let_in_again_later() -> None:
    desk = Desk()
    answers = [(await desk.client.get("/u/wrong")).status_code for _ in range(40)]
    assert answers[0] == 404 and answers[-1] == 429
    assert (await desk.client.get(f"/u/{desk.token(UNSUBSCRIBE)}")).status_code == 429
    assert refusals()[("door", "rate")] > 0
    desk.seconds += 60
    assert (await desk.client.get(f"/u/{desk.token(UNSUBSCRIBE)}")).status_code == 200


async def test_other_methods_and_places_are_refused() -> None:
    desk = Desk()
    assert (await desk.client.put(f"/u/{desk.token(UNSUBSCRIBE)}")).status_code == 405
    assert (await desk.client.get("/")).status_code == 404
    assert (await desk.client.get("/livez")).status_code == 200
