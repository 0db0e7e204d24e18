"""Steps as written: until, start, exit, sends with all their fields, quiet hours, a scenario's own holdout."""

import pytest

from pipeline.engine.plan import Plan, QuietHours, Send, Start, Until
from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, MINUTE

HEAD = "title: T\npurpose: marketing\n"
FIRST = HEAD + "scenario: first\nenter: {on: order_placed}\nsteps:\n"
OTHER = HEAD + "scenario: other\nenter: {on: start}\nsteps: [{send: two, channel: web, with: {total: entry.total}}]\n"


def compiled(settings: str = "{}", **scenarios: str) -> Plan:
    files = {f"{name}/scenario.yaml": text for name, text in scenarios.items()}
    files |= {f"first/one.en.{kind}.txt": "Hello" for kind in ("sms",)}
    return compile_plan(PlanSources({"settings.yaml": settings, **files}))


def refused(**scenarios: str) -> list[str]:
    with pytest.raises(PlanError) as error:
        compiled(**scenarios)
    return [str(problem) for problem in error.value.problems]


def program(steps: str) -> tuple[object, ...]:
    return compiled(first=FIRST + steps).scenarios[0].program


def test_until_a_time_of_a_weekday() -> None:
    until = program('  - until: {time: "09:30", weekday: [thu, mon]}\n')[0]
    assert until == Until(1, 1, time_ms=9 * HOUR + 30 * MINUTE, weekdays=(0, 3), within_ms=0, label="09:30")


@pytest.mark.parametrize(
    "steps",
    [
        '  - until: {day: entry.at, offset: -3d, time: "09:00"}\n    if_past: skip_next\n  - exit: a\n  - exit: b\n',
        '  - until: {day: entry.at, offset: -3d, time: "09:00", if_past: skip_next}\n  - exit: a\n  - exit: b\n',
    ],
)
def test_until_a_day_with_an_offset_knows_what_follows_the_next_step(steps: str) -> None:
    until = program(steps)[0]
    assert isinstance(until, Until) and until.day is not None
    assert (until.offset_ms, until.if_past, until.next, until.skip) == (-3 * DAY, "skip_next", 1, 2)


def test_until_the_best_hour() -> None:
    under = compiled(first=FIRST + "  - until: {best_hour: {of: email, within: 12h}}\n")
    assert under.best_hours == ("email",)


def test_a_send_has_channels_goods_a_purpose_of_its_own_and_may_wait_for_its_place() -> None:
    send = program(
        "  - send: one\n    channels: [web, sms]\n    require: [in_stock]\n    purpose: transactional\n"
        "    if_capped: wait\n    valid_for: 2h\n"
    )[0]
    assert isinstance(send, Send)
    assert (send.channels, send.require, send.purpose) == (("web", "sms"), ("in_stock",), "transactional")
    assert (send.if_capped, send.valid_for_ms) == ("wait", 2 * HOUR)


def test_quiet_hours_and_a_scenarios_own_holdout() -> None:
    settings = 'quiet_hours: {from: "21:00", to: "08:00", channels: [sms, push]}'
    under = compiled(settings, first=FIRST.replace("steps", "holdout: 12.5%\nsteps") + "  - exit: a\n")
    assert under.settings.quiet == QuietHours(21 * HOUR, 8 * HOUR, ("sms", "push"))
    assert under.scenarios[0].holdout_share == 1250


def test_who_starts_another_keeps_what_that_one_reads_of_the_entry() -> None:
    under = compiled(first=FIRST + "  - start: other\n  - exit: done\n", other=OTHER)
    first = next(one for one in under.scenarios if one.name == "first")
    assert isinstance(first.program[0], Start)
    assert first.entry_fields == ("total",)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("  - until: {time: 9}\n", "first/scenario.yaml:6:19: time: "),
        ('  - until: {time: "24:00"}\n', "first/scenario.yaml:6:19: time: "),
        ("  - until: {weekday: mon}\n", "`until` has a `time`, a `day` or a `best_hour`"),
        ("  - until: {day: entry.at, weekday: mon}\n", "`weekday` needs a `time`"),
        ('  - until: {time: "09:00", offset: 1d}\n', "`offset` belongs to `day`"),
        ('  - until: {best_hour: {of: email}, time: "09:00"}\n', "`best_hour` stands alone"),
        ('  - until: {time: "09:00"}\n    if_past: skip_next\n', "leaves out the step that follows, and none does"),
        ("  - until: {day: entry.due}\n", "unknown field entry.due"),
        ("  - start: nobody\n", "6:12: unknown scenario 'nobody'"),
        ("  - start: first\n", "6:12: first cannot be started: it has no `enter: {on: start}`"),
        (
            "  - wait_for: [{on: message_opened, of: remainder}]\n  - send: reminder\n    channel: web\n",
            "6:41: no send is named 'remainder'; did you mean reminder?",
        ),
        ("  - send: a\n    channel: web\n    require: [cheap]\n", "Input should be 'in_stock'"),
    ],
)
def test_a_fault_in_a_step_is_named_with_its_place(steps: str, message: str) -> None:
    problems = refused(first=FIRST + steps)
    assert any(message in problem for problem in problems), problems


def test_scenarios_that_start_each_other_in_a_circle_are_refused() -> None:
    circle = OTHER.replace("[{send", "[{start: third}, {send")
    third = OTHER.replace("scenario: other", "scenario: third").replace("[{send", "[{start: other}, {send")
    problems = refused(other=circle, third=third)
    assert any("a circle: third leads back to other" in problem for problem in problems), problems


def test_what_a_started_scenario_reads_is_checked_against_what_starts_it() -> None:
    wrong = OTHER.replace("entry.total", "entry.sum")
    assert any(
        "unknown field entry.sum" in problem for problem in refused(first=FIRST + "  - start: other\n", other=wrong)
    )
