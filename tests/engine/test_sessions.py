"""The end of a visit: half an hour after its last page, once, whatever is read late."""

from pipeline.engine.plan import Plan
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, event, view
from tests.engine.people import People, sign_in

SETTINGS = """\
consent_default: granted
require_address: false
scores: {visits: {events: {session_ended: 2}}}
segments:
  regular: count("session_ended", "9d") >= 2
"""


def plan_of(**scenarios: str) -> Plan:
    files = {"settings.yaml": SETTINGS}
    for name, rest in scenarios.items():
        files[f"{name}/scenario.yaml"] = f"scenario: {name}\ntitle: x\npurpose: marketing\n{rest}\n"
    return compile_plan(PlanSources(files))


SEND = "steps: [{send: bye, channel: webhook, with: {pages: entry.pages, began: entry.began_at, lasted: entry.lasted}}]"
ENDED = plan_of(one=f"enter: {{on: session_ended, again: always}}\n{SEND}")
GAP = 30 * MINUTE


def test_a_visit_ends_half_an_hour_after_its_last_page_with_no_event() -> None:
    life = Life(ENDED).feed(view(T0), view(T0 + 10 * MINUTE), view(T0 + 35 * MINUTE)).until(T0 + DAY)
    assert life.sends == [("bye", T0 + 35 * MINUTE + GAP)]
    assert life.commands[0].data == {"pages": 3, "began": T0, "lasted": 35 * MINUTE}
    assert life.until(T0 + 90 * DAY).known.tracked.session is not None
    assert len(life.sends) == 1


def test_the_next_visit_read_before_the_timer_ends_the_one_before_at_its_own_time() -> None:
    life = Life(ENDED).feed(view(T0), watermark=T0).feed(view(T0 + 2 * HOUR), watermark=T0).until(T0 + DAY)
    assert life.sends == [("bye", T0 + GAP), ("bye", T0 + 2 * HOUR + GAP)]


def test_a_page_that_is_read_late_does_not_end_a_visit_twice() -> None:
    life = Life(ENDED).feed(view(T0)).until(T0 + HOUR)
    life.feed(event("page_viewed", T0 + MINUTE, arrived=T0 + HOUR)).until(T0 + DAY)
    assert life.sends == [("bye", T0 + GAP)]


def test_silent_backfill_begins_no_visit() -> None:
    life = Life(ENDED).feed(view(T0), silent=True).until(T0 + DAY)
    assert life.sends == [] and life.known.tracked.session is None


def test_a_session_that_the_source_says_is_new_ends_the_one_before() -> None:
    life = Life(ENDED).feed(view(T0), event("session_started", T0 + 5 * MINUTE)).until(T0 + DAY)
    assert life.sends == [("bye", T0 + 5 * MINUTE), ("bye", T0 + 5 * MINUTE + GAP)]


def test_ends_of_visits_give_points_are_counted_and_are_waited_for() -> None:
    under = plan_of(
        reached="enter: {on: score_reached, score: visits, at_least: 4}\nsteps: [{send: a, channel: webhook}]",
        regular="enter: {on: segment_entered, segment: regular}\nsteps: [{send: b, channel: webhook}]",
        waiting=(
            "enter: {on: cart_changed}\nsteps: [{wait_for: [{on: session_ended, where: event.pages > 1}]}, "
            "{send: c, channel: webhook}]"
        ),
        left="enter: {on: cart_changed}\nexit: [{on: session_ended}]\nsteps: [{wait: 9d}, {send: d, channel: webhook}]",
    )
    items = [{"product_id": "p"}]
    life = Life(under).feed(view(T0), event("cart_updated", T0 + MINUTE, items=items)).until(T0 + 2 * HOUR)
    assert life.sends == [] and ("exited", "session_ended") in life.reasons
    life.feed(view(T0 + DAY), view(T0 + DAY + MINUTE)).until(T0 + 2 * DAY)
    end = T0 + DAY + MINUTE + GAP
    assert sorted(life.sends) == [("a", end), ("b", end), ("c", end)]


def test_nothing_is_kept_of_visits_where_nobody_listens() -> None:
    life = Life(plan_of(one="enter: {on: page_viewed}\nsteps: [{wait: 1d}]")).feed(view(T0))
    assert life.known.tracked.session is None


def test_a_visit_goes_on_through_a_sign_in() -> None:
    people = People(ENDED).feed(view(T0, customer="anon:v"), view(T0 + MINUTE, customer="anon:v"))
    people.feed(sign_in(T0 + 2 * MINUTE), view(T0 + 5 * MINUTE, customer="c1")).until(T0 + DAY)
    assert [(one.customer, one.due_at, one.data["pages"]) for one in people.commands] == [
        ("c1", T0 + 5 * MINUTE + GAP, 3)
    ]
