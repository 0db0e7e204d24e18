"""The pixel and the redirect: what counts as a person's, and where a link may lead."""

import pytest
from msgspec.structs import replace

from agents import metrics
from agents.collector.machines import is_machine
from pipeline.sending.links import CLICK, OPEN, UNSUBSCRIBE
from tests.collector.kit import ABOUT, PERSON, Desk, refusals
from tests.sending.build import T0

TARGET = "https://shop.example/p?a=1&b=é".replace("é", "%C3%A9")


async def test_the_pixel_is_a_picture_and_an_open_of_that_message() -> None:
    desk = Desk()
    answer = await desk.client.get(f"/o/{desk.token(OPEN)}.gif")
    assert (answer.status_code, answer.headers["content-type"], answer.content[:6]) == (200, "image/gif", b"GIF89a")
    assert answer.headers["cache-control"] == "no-store"
    (event,) = desk.intake.events
    assert (event["type"], event["customer"], event["command_id"], event["channel"]) == (
        "message_opened", "c1", ABOUT.command, "email",
    )  # fmt: skip
    assert "machine" not in event and event["at"] == desk.now


async def test_a_click_leads_where_the_mail_led_and_is_heard() -> None:
    desk = Desk()
    answer = await desk.client.get(f"/c/{desk.token(CLICK, replace(ABOUT, url=TARGET))}")
    assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert (desk.types, desk.intake.events[0]["url"]) == (["message_clicked"], TARGET)


async def test_where_a_click_cannot_be_kept_the_customer_is_led_on_and_the_loss_is_counted() -> None:
    desk = Desk()
    desk.intake.broken = True
    before = metrics.LOST.labels("message_clicked")._value.get()
    answer = await desk.client.get(f"/c/{desk.token(CLICK, replace(ABOUT, url=TARGET))}")
    assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
    assert (await desk.client.get(f"/o/{desk.token(OPEN)}.gif")).status_code == 200
    assert metrics.LOST.labels("message_clicked")._value.get() == before + 1
    assert desk.intake.heard == []


@pytest.mark.parametrize("kind", [OPEN, UNSUBSCRIBE])
async def test_a_token_of_another_kind_leads_nowhere(kind: str) -> None:
    desk = Desk()
    before = refusals().get(("c", "link"), 0)
    answer = await desk.client.get(f"/c/{desk.token(kind, replace(ABOUT, url='https://evil.example'))}")
    assert answer.status_code == 404 and "location" not in answer.headers
    assert refusals()[("c", "link")] == before + 1
    assert desk.intake.heard == []


async def test_a_changed_target_is_refused() -> None:
    desk = Desk()
    token = desk.token(CLICK, replace(ABOUT, url=TARGET))
    for place in range(0, len(token), 7):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert (await desk.client.get(f"/c/{changed}")).status_code in {404, 429}
    for path in (f"/c/{token}?url=https://evil.example", f"/c/{token}#https://evil.example"):
        desk.seconds += 3_600
        assert (await desk.client.get(path)).headers["location"] == TARGET


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "", "https://a@evil.example/"])
async def test_even_a_sealed_link_leads_to_addresses_of_the_web_alone(url: str) -> None:
    desk = Desk()
    assert (await desk.client.get(f"/c/{desk.token(CLICK, replace(ABOUT, url=url))}")).status_code == 404


async def test_an_open_told_twice_is_one_event_and_one_of_another_day_another() -> None:
    desk = Desk()
    for step in (0, 1_000, 90_000_000):
        desk.now += step
        await desk.client.get(f"/o/{desk.token(OPEN)}.gif")
    ids = [event["id"] for event in desk.intake.events]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        (PERSON, False),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", False),
        ("Mozilla/5.0", True),
        ("", True),
        ("python-requests/2.32", True),
        ("Mozilla/5.0 (compatible; BarracudaCentral)", True),
        ("Mozilla/5.0 AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36", True),
        ("Googlebot/2.1", True),
    ],
)
def test_who_is_a_machine_by_its_name(agent: str, machine: bool) -> None:
    assert is_machine("GET", {"user-agent": agent}, 60_000) is machine


def test_who_is_a_machine_by_what_it_does() -> None:
    person = {"user-agent": PERSON}
    assert is_machine("HEAD", person, 60_000)
    assert is_machine("GET", {**person, "sec-purpose": "prefetch;prerender"}, 60_000)
    assert is_machine("GET", person, 1_999) and not is_machine("GET", person, 2_000)
    assert not is_machine("GET", person, -5) and not is_machine("GET", person, None)


async def test_a_click_within_two_seconds_of_delivery_is_a_machines() -> None:
    desk = Desk()
    token = desk.token(CLICK, replace(ABOUT, url=TARGET))
    desk.now = T0 + 1_500
    assert (await desk.client.get(f"/c/{token}")).status_code == 302
    desk.now = T0 + 3_600_000
    desk.hub.delivered.note(ABOUT.command, desk.now - 500)
    await desk.client.get(f"/c/{token}")
    desk.now += 5_000
    await desk.client.get(f"/c/{token}")
    assert [event.get("machine") for event in desk.intake.events] == [True, True, None]
