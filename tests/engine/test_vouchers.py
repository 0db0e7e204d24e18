"""Vouchers: the same code for the same enrolment and step, another for any other; a record for the shop."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voucher import Voucher
from pipeline.engine import api
from pipeline.engine.env import Env
from pipeline.engine.plan import Plan, Settings, Wait
from pipeline.engine.vouchers import code_of
from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, T0, Life, cart, expr, plan, scenario, send, view

KEYED = Settings(consent_default="granted", require_address=False, voucher_key=b"k" * 32)


def _issue(env: Env) -> str:
    assert env.issue is not None
    return env.issue("HI", "10%", 14 * DAY)


CODE = ("code", expr(_issue))


def under(settings: Settings = KEYED, *names: str) -> Plan:
    steps = [send(name, number + 1, data=(CODE,)) for number, name in enumerate(names or ("one",))]
    return plan(scenario(*steps), settings=settings)


def issued(life: Life) -> list[Voucher]:
    return [one for out in life.out for one in out.vouchers]


def test_the_code_in_the_message_is_the_one_that_the_shop_is_told() -> None:
    life = Life(under()).feed(view(T0))
    (command,), (voucher,) = life.commands, issued(life)
    assert command.data == {"code": voucher.code}
    assert (voucher.customer, voucher.command, voucher.scenario, voucher.step) == ("c1", command.id, "s", "one")
    assert (voucher.value, voucher.issued_at, voucher.valid_until) == ("10%", T0, T0 + 14 * DAY)


def test_it_is_valid_from_when_the_message_was_due_and_not_from_when_it_was_read() -> None:
    waited = plan(scenario(Wait(HOUR, 1), send("one", 2, data=(CODE,))), settings=KEYED)
    life = Life(waited).feed(view(T0), view(T0 + 5 * DAY), watermark=T0).until(T0 + DAY)
    assert issued(life)[0].valid_until == T0 + HOUR + 14 * DAY


def test_a_replay_gives_the_same_code_and_another_key_step_or_entry_another() -> None:
    def code(at: int, settings: Settings = KEYED, *names: str) -> list[str]:
        return [one.code for one in issued(Life(under(settings, *names)).feed(view(at)))]

    first = code(T0)
    assert code(T0) == first
    assert code(T0 + 1) != first
    assert code(T0, replace(KEYED, voucher_key=b"other")) != first
    both = code(T0, KEYED, "one", "two")
    assert both[0] == first[0] and both[1] != first[0]


def test_a_send_that_is_passed_over_issues_none() -> None:
    capped = plan(scenario(send("one", 1, data=(CODE,))), settings=KEYED, switches={"s": "paused"})
    assert issued(Life(capped).feed(view(T0))) == []


def test_the_key_stands_in_no_text_of_the_settings() -> None:
    assert "kkk" not in repr(KEYED)


@given(st.binary(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=10))
def test_a_code_is_short_and_made_of_letters_and_digits(key: bytes, enrolment: str, step: str, prefix: str) -> None:
    code = code_of(key, enrolment, step, prefix, "10%")
    assert code.startswith(f"{prefix}-")
    rest = code.removeprefix(f"{prefix}-")
    assert len(rest) == 16 and rest.isascii() and rest.isalnum()


def test_as_written_in_a_scenario() -> None:
    text = (
        "scenario: one\ntitle: T\npurpose: marketing\nenter: {on: cart_changed}\nsteps:\n"
        "  - send: hello\n    channel: web\n    with:\n"
        '      code: voucher("HI", cart.total, "14d")\n      again: voucher("HI", 5, duration("1d"))\n'
    )
    settings = "consent_default: granted\nrequire_address: false\n"
    found = compile_plan(PlanSources({"settings.yaml": settings, "one/scenario.yaml": text}))
    assert found.issues_vouchers
    done = api.apply_event(None, cart(T0, "a", price=1250), T0, found)
    assert [(one.value, one.valid_until) for one in done.vouchers] == [("12.50", T0 + 14 * DAY), ("5", T0 + DAY)]
    assert list(done.commands[0].data.values()) == [one.code for one in done.vouchers]


def test_outside_of_a_message_there_is_none() -> None:
    text = (
        "scenario: one\ntitle: T\npurpose: marketing\nenter: {on: cart_changed}\n"
        'goal: {on: order_placed, within: 1d, value: voucher("HI", 5, "1d")}\nsteps: [{exit: a}]\n'
    )
    with pytest.raises(PlanError, match=r"voucher\(\) stands under `with` of a send"):
        compile_plan(
            PlanSources({"one/scenario.yaml": text.replace("voucher", "'voucher").replace('"1d")', '"1d")\'')})
        )
