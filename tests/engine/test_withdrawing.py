"""A withdrawn consent takes back what was emitted under it; a pause interrupts it."""

import pytest

from pipeline.engine.plan import Settings, Wait
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, event, plan, scenario, send, view

SHY = Settings(consent_default="none", require_address=False)
BOTH = scenario(send("news", 1), send("bill", 2, purpose="transactional"), Wait(DAY, 3), send("later", 4))


def consented() -> Life:
    life = Life(plan(BOTH, settings=SHY))
    life.feed(event("consent_changed", T0, given=True, for_channel="email"))
    return life.feed(view(T0 + MINUTE))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("message_unsubscribed", {"channel": "email"}),
        ("message_complained", {"channel": "email"}),
        ("message_bounced", {"channel": "email", "permanent": True}),
        ("consent_changed", {"given": False, "for_channel": "*"}),
        ("customer_updated", {"consents": [{"given": False, "for_channel": "email"}]}),
    ],
)
def test_a_withdrawal_cancels_marketing_that_has_no_end_yet_and_nothing_else(
    kind: str, data: dict[str, object]
) -> None:
    life = consented().feed(event(kind, T0 + 2 * MINUTE, **data))
    assert [(one.reason, one.command) for out in life.out for one in out.cancels] == [
        ("consent_withdrawn", life.commands[0].id)
    ]
    assert [command.step for command in life.commands] == ["news", "bill"]
    life.until(T0 + 2 * DAY)
    assert life.reasons[-2:] == [("suppressed", "no_consent"), ("completed", "end")] or (
        "suppressed", "no_consent",
    ) in life.reasons  # fmt: skip
    assert "later" not in [command.step for command in life.commands]


def test_what_was_sent_before_the_withdrawal_is_not_cancelled() -> None:
    life = consented().receipt("sent", T0 + 2 * MINUTE, 0).receipt("sent", T0 + 2 * MINUTE + 1, 1)
    life.feed(event("message_unsubscribed", T0 + 3 * MINUTE, channel="email"))
    assert life.cancels == []


def test_a_withdrawal_of_another_channel_takes_nothing_back() -> None:
    assert consented().feed(event("message_unsubscribed", T0 + 2 * MINUTE, channel="sms")).cancels == []


def test_a_pause_stops_what_falls_into_it_and_leaves_the_consent() -> None:
    life = consented().feed(event("consent_changed", T0 + 2 * MINUTE, given=False, until=T0 + 2 * DAY))
    assert life.cancels == ["consent_withdrawn"]
    life.until(T0 + DAY + HOUR)
    assert ("suppressed", "no_consent") in life.reasons
    life.feed(view(T0 + 3 * DAY))
    assert [command.step for command in life.commands] == ["news", "bill", "news", "bill"]


def test_a_pause_that_is_ended_early_ends() -> None:
    life = consented().feed(event("consent_changed", T0 + 2 * MINUTE, given=False, until=T0 + 30 * DAY))
    life.feed(event("consent_changed", T0 + 3 * MINUTE, given=False, until=T0 + 3 * MINUTE))
    life.until(T0 + 2 * DAY)
    assert [command.step for command in life.commands] == ["news", "bill", "later"]


def test_a_scanners_click_is_no_sign_of_life() -> None:
    life = Life(plan(BOTH, settings=SHY)).feed(event("message_clicked", T0, machine=True))
    assert (life.known.profile.last_seen, life.known.profile.clicks) == (None, 0)
    life.feed(event("message_clicked", T0 + 1))
    assert (life.known.profile.last_seen, life.known.profile.clicks) == (T0 + 1, 1)
