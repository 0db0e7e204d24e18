"""What depends on reactions to messages that were never sent is counted apart, and nothing else is."""

from pathlib import Path

import pytest

from models.customer import Attribute, Cold, Customer
from pipeline.replay.reactions import Hush, dependent, hushes
from pipeline.replay.task import Task
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.replay.build import figures, plan

SETTINGS = """
consent_default: granted
require_address: false
attributes: {keen: string}
"""
SCORES = """
scores:
  keen: {events: {message_clicked: 5}}
  buyer: {events: {order_placed: 5}}
"""
HEAD = "title: T\npurpose: marketing\nenter: {on: cart_changed, again: always}\n"


def send(name: str, more: str = "") -> str:
    return f"  - {{send: {name}, channel: webhook{more}}}\n"


def one(
    steps: str, head: str = HEAD, settings: str = "", name: str = "one", **others: str
) -> frozenset[tuple[str, str]]:
    files = {"settings.yaml": SETTINGS + settings, f"{name}/scenario.yaml": f"scenario: {name}\n{head}steps:\n{steps}"}
    for other, text in others.items():
        files[f"{other}/scenario.yaml"] = f"scenario: {other}\n{text}"
    texts = {f"{folder}/{step}.json": "{}" for folder in (name, *others) for step in ("a", "b", "c")}
    return dependent(compile_plan(PlanSources({**files, **texts})))


BRANCH = "  - branch:\n      - when: WHEN\n        then: [{send: b, channel: webhook}]\n" + send("c")
AFTER = frozenset({("one", "b"), ("one", "c")})


@pytest.mark.parametrize(
    "when",
    [
        "profile.opens > 0",
        "has(profile.last_click_at)",
        'count("message_opened", "7d") > 0',
        'score("keen") > 3',
        'segment("keen")',
        'segment("outer")',
        'level("mood") == "good"',
        'consent("email", "marketing")',
    ],
)
def test_what_follows_a_look_at_reactions_depends_on_them(when: str) -> None:
    settings = SCORES + (
        "segments:\n  keen: 'score(\"keen\") > 3'\n  outer: 'segment(\"keen\") || profile.orders > 1'\n"
        "levels:\n  mood: [{good: 'profile.clicks > 3'}, {bad: true}]\n"
    )
    assert one(send("a") + BRANCH.replace("WHEN", f"'{when}'"), settings=settings) == AFTER


@pytest.mark.parametrize(
    "when",
    [
        "profile.orders > 0",
        "cart.total > 5",
        'count("product_viewed", "7d") > 0',
        'score("buyer") > 3',
        'segment("rich")',
        'level("size") == "big"',
        'count_sent("a", "7d") > 0',
        "size(profile.channels) > 1",
    ],
)
def test_what_customers_did_in_the_store_is_known(when: str) -> None:
    settings = SCORES + (
        "segments:\n  rich: 'score(\"buyer\") > 3'\nlevels:\n  size: [{big: 'profile.orders > 3'}, {small: true}]\n"
    )
    assert one(send("a") + BRANCH.replace("WHEN", f"'{when}'"), settings=settings) == frozenset()


def test_a_wait_for_a_reaction_and_the_best_hour_are_looks() -> None:
    wait = "  - wait_for: [{on: message_opened, then: [{send: b, channel: webhook}]}]\n    at_most: 1d\n"
    assert one(send("a") + wait + send("c")) == AFTER
    assert one(send("a") + "  - until: {best_hour: {of: email, within: 24h}}\n" + send("b")) == {("one", "b")}


def test_what_is_sent_before_the_look_is_known() -> None:
    assert ("one", "a") not in one(send("a") + BRANCH.replace("WHEN", "profile.opens > 0"))


def test_a_message_that_holds_what_reactions_make_depends_on_them() -> None:
    assert one(send("a", ", with: {n: profile.opens}") + send("b")) == {("one", "a")}


@pytest.mark.parametrize(
    "head",
    [
        "title: T\npurpose: marketing\nenter: {on: message_opened, again: {after: 2d}}\n",
        HEAD + "exit: [{on: message_clicked}]\n",
        HEAD + "exit: [{when: 'score(\"keen\") > 3'}]\n",
        "title: T\npurpose: marketing\nenter: {on: score_reached, score: keen, at_least: 5}\n",
    ],
)
def test_an_entry_or_exit_by_reactions_makes_all_its_messages_depend(head: str) -> None:
    assert one(send("a") + send("b"), head, SCORES) == {("one", "a"), ("one", "b")}


def test_an_entry_by_what_was_bought_does_not() -> None:
    head = "title: T\npurpose: marketing\nenter: {on: score_reached, score: buyer, at_least: 5}\n"
    assert one(send("a"), head, SCORES) == frozenset()


def test_what_a_step_after_a_look_writes_makes_others_depend() -> None:
    look = "  - wait_for: [{on: message_opened, then: [{set: {keen: '\"yes\"'}}]}]\n    at_most: 1d\n"
    other = HEAD + "steps:\n" + send("a") + BRANCH.replace("WHEN", "has(customer.keen)")
    assert one(look, two=other) == {("two", "b"), ("two", "c")}


def test_a_scenario_that_is_started_after_a_look_depends_as_a_whole() -> None:
    look = "  - wait_for: [{on: message_opened, then: [{start: two}]}]\n    at_most: 1d\n"
    other = "title: T\npurpose: marketing\nenter: {on: start}\nsteps:\n" + send("a")
    assert one(look, two=other) == {("two", "a")}


def silenced(when: str) -> tuple[Hush, ...]:
    settings = f"{SETTINGS}silence: [{{purpose: marketing, when: '{when}'}}]\n"
    return hushes(compile_plan(PlanSources({"settings.yaml": settings})))


def test_a_silence_that_reads_clicks_touches_every_message_of_its_purpose() -> None:
    [found] = silenced("profile.clicks == 0")
    assert found.may_touch("marketing", "email", None)
    assert not found.may_touch("transactional", "email", None)
    assert silenced("profile.orders == 0") == ()


def test_a_silence_that_asks_for_an_attribute_touches_those_of_whom_it_is_known() -> None:
    [found] = silenced("has(customer.keen) && profile.clicks == 0")
    known = Customer(id="a", cold=Cold(attributes={"keen": Attribute("yes", 1, "e")}))
    assert found.may_touch("marketing", "email", known)
    assert not found.may_touch("marketing", "email", Customer(id="b"))
    [either] = silenced("has(customer.keen) || profile.clicks == 0")
    assert either.may_touch("marketing", "email", Customer(id="b"))


GOODS = "channel: email, with: {items: cart.items, total: cart.total, link: 'default(cart.url, \"\")'}"
DRAFT = f"""
  - {{send: first, template: abandoned-cart/reminder, {GOODS}}}
  - wait_for:
      - on: message_opened
        of: first
        then: [{{send: opened, template: abandoned-cart/urgency, {GOODS}}}]
    at_most: 1d
    otherwise: [{{send: unopened, template: abandoned-cart/urgency, {GOODS}}}]
"""


def test_a_draft_that_waits_for_opens_of_messages_never_sent_has_them_counted_apart(data: Path) -> None:
    live = plan().files
    head, _, _ = live["abandoned-cart/scenario.yaml"].partition("\nsteps:")
    draft = PlanSources({**live, "abandoned-cart/scenario.yaml": f"{head}\nsteps:{DRAFT}"})
    found = figures(Task(data, draft))
    cart = found["scenarios"]["abandoned-cart"]["sent"]
    # Nobody opened what was never sent: all who came so far get the other one, and the report says that it supposes so.
    assert "opened" not in cart
    assert found["exact"]["supposed"]["abandoned-cart/unopened"] == cart["unopened"]["email"]
    assert cart["unopened"]["email"] > 0
    assert found["exact"]["share"] != "100.0%"


def test_a_live_plan_that_is_replayed_is_exact_whatever_it_looks_at(data: Path) -> None:
    found = figures(Task(data, plan()))["exact"]
    assert (found["share"], found["supposed"], found["reactions_left_out"]) == ("100.0%", {}, 0)
