"""What `apply` shows before it asks: equal to what the engine then does, and a name in use is not taken away."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from models.customer import Customer
from models.progress import Progress
from pipeline.applying.ground import NOWHERE, live_plan, next_plan
from pipeline.applying.names import removed_names, still_used
from pipeline.applying.preview import Preview, preview
from pipeline.applying.text import preview_lines
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, T0, cart, event, order

SETTINGS = """\
consent_default: granted
require_address: false
attributes: {gift: string}
segments:
  buyers: profile.orders >= 1
  spenders: profile.spent >= 100
scores:
  lead: {events: {page_viewed: 1}}
"""
HEAD = "title: T\npurpose: marketing\n"


def scenario(name: str, enter: str, steps: str = "", **more: str) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"scenario: {name}\n{HEAD}{lines}enter: {enter}\nsteps:\n  - wait: 2d\n{steps}"


SEND = "  - send: hello\n    channel: web\n"
CART = scenario("cart", "{on: cart_changed, when: 'size(cart.items) > 0', again: always}", SEND)
THANKS = scenario("thanks", "{on: order_placed, when: event.total >= 1}", SEND, exit='[{when: segment("spenders")}]')


def sources(settings: str = SETTINGS, **files: str) -> PlanSources:
    return PlanSources({"settings.yaml": settings, **{f"{name}/scenario.yaml": text for name, text in files.items()}})


class Shop:
    """Customers under a plan, and the plans that were applied; a `Ground`."""

    def __init__(self, first: PlanSources):
        self.plans = {first.hash: first}
        self.progress: Progress = replace(NOWHERE, plan=first.hash, activated={name: 0 for name in ("cart", "thanks")})
        self.customers: dict[str, Customer] = {}

    def standing(self) -> Progress | None:
        return self.progress

    def plan_sources(self, name: str) -> PlanSources | None:
        return self.plans.get(name)

    def live_name(self) -> str:
        return self.progress.plan

    def states(self) -> Iterator[Customer]:
        return iter(self.customers.values())

    def live(self) -> Plan:
        found = live_plan(self)
        assert found is not None
        return found

    def feed(self, *events: Any) -> "Shop":
        plan = self.live()
        for one in events:
            done = api.apply_event(self.customers.get(one.customer), one, one.arrived_at, plan)
            assert done.customer is not None
            self.customers[one.customer] = done.customer
        return self

    def seen(self, new: PlanSources, at: int = T0 + DAY) -> Preview:
        return preview(self.live(), next_plan(self, new, at), self.states(), at)

    def lines(self, new: PlanSources) -> list[str]:
        return list(preview_lines(self.seen(new), "new", "old"))[1:]


@pytest.fixture
def shop() -> Shop:
    """Ten customers: nine have a cart (c1 to c9), of whom four bought (c1 to c4) something else before."""
    found = Shop(sources(cart=CART, thanks=THANKS))
    orders = [order(T0, f"o{number}", f"c{number}") for number in (1, 2, 3, 4)]
    carts = [cart(T0 + HOUR, "p9", customer=f"c{number}") for number in range(1, 10)]
    return found.feed(event("page_viewed", T0, "c0"), *orders, *carts)


def test_a_new_scenario_says_whom_it_takes_in_and_who_meets_its_condition(shop: Shop) -> None:
    new = sources(
        cart=CART,
        thanks=THANKS,
        vip=scenario("vip", "{on: segment_entered, segment: buyers, existing: yes}", SEND),
        slow=scenario("slow", "{on: segment_entered, segment: buyers, existing: spread}", SEND),
        calm=scenario("calm", "{on: segment_entered, segment: buyers}", SEND),
        all=scenario("all", "{on: page_viewed, when: profile.orders >= 0}", SEND),
    )
    assert shop.lines(new) == [
        "  new: all",
        "    on page_viewed: 10 of 10 customers (100%) meet its condition now, and enter with their next one",
        "  new: calm",
        "    on segment_entered buyers: 4 of 10 customers (40%) are in it already; they do not enter at once (existing: no)",
        "  new: slow",
        "    4 of 10 customers (40%) enter over seven days",
        "    on segment_entered buyers: 4 of 10 customers (40%) are in it already; existing: spread",
        "  new: vip",
        "    4 of 10 customers (40%) enter at once",
        "    on segment_entered buyers: 4 of 10 customers (40%) are in it already; existing: yes",
        "  unchanged: cart, thanks",
        "8 enrolments at the activation, 0 messages at once",
    ]  # fmt: skip


def test_what_lets_in_half_of_everybody_is_pointed_out(shop: Shop) -> None:
    shop.feed(*(event("page_viewed", T0, f"c{number}") for number in range(10, 60)))
    every = scenario("all", "{on: page_viewed, when: profile.orders >= 0}", SEND)
    half = scenario("few", "{on: page_viewed, when: profile.orders >= 1}", SEND)
    lines = shop.lines(sources(cart=CART, thanks=THANKS, all=every, few=half))
    assert [line.endswith("<-- many") for line in lines if "meet its condition" in line] == [True, False]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("pin", "stay on it"),
        ("migrate", "are moved"),
        ("drain", "stay on it, and nobody enters until they are through"),
    ],
)
def test_an_edit_says_how_many_are_inside_and_what_becomes_of_them(shop: Shop, policy: str, said: str) -> None:
    edited = CART.replace("wait: 2d", "wait: 3d").replace("title: T", f"title: T\non_change: {policy}")
    version = shop.live().live["cart"].version
    lines = shop.lines(sources(cart=edited, thanks=THANKS))
    assert lines[:2] == [f"  changed: cart ({policy})", f"    9 inside version {version} {said}"]
    assert ("    9 of them go on in the new version" in lines) is (policy == "migrate")


def test_a_step_that_is_gone_and_a_scenario_that_is_gone_say_who_leaves_and_who_goes_on(shop: Shop) -> None:
    lines = shop.lines(sources(thanks=THANKS))
    version = shop.live().live["cart"].version
    assert lines[:2] == [
        "  removed: cart",
        f"    9 inside version {version} go on with it; nobody enters any more",
    ]
    edited = CART.replace("title: T", "title: T\non_change: migrate\nexit: [{when: 'profile.orders >= 1'}]")
    found = shop.seen(sources(cart=edited, thanks=THANKS)).effects["cart"]
    assert (found.moved, dict(found.leaves)) == (9, {"profile.orders >= 1": 4})


def test_a_condition_of_the_event_is_not_guessed(shop: Shop) -> None:
    lines = shop.lines(sources(cart=CART, thanks=THANKS, more=THANKS.replace("scenario: thanks", "scenario: more")))
    assert lines[1] == (
        "    on order_placed: its condition is of the event; `parcours backtest` says how many it would have let in"
    )


def test_the_first_plan_of_all_has_nobody_to_enter() -> None:
    empty = Shop(sources())
    empty.progress = NOWHERE
    new = sources(cart=CART)
    found = preview(live_plan(empty), next_plan(empty, new, 0), [], 0)
    assert list(preview_lines(found, new.hash, "")) == [
        f"plan {new.hash} over nothing: 0 customers",
        "  new: cart",
        "    on cart_changed: 0 of 0 customers meet its condition now, and enter with their next one",
        "0 enrolments at the activation, 0 messages at once",
    ]


def test_what_is_shown_is_what_the_activation_then_does(shop: Shop) -> None:
    edited = CART.replace("wait: 2d", "send: first\n    channel: web\n  - wait: 2d").replace(
        "title: T", "title: T\non_change: migrate\nexit: [{when: 'profile.orders >= 3'}]"
    )
    now = scenario("vip", "{on: segment_entered, segment: buyers, existing: yes}").replace("- wait: 2d\n", SEND[2:])
    new, at = sources(cart=edited, thanks=THANKS, vip=now), T0 + DAY
    seen = shop.seen(new, at)
    plan = next_plan(shop, new, at)
    done: Counter[tuple[str, str]] = Counter()
    sent: Counter[str] = Counter()
    for customer in shop.customers.values():
        step = api.activate(customer, plan, at, at)
        done.update((one.scenario, one.outcome) for one in step.decisions)
        sent.update(one.scenario for one in step.commands)
    for name in ("cart", "vip"):
        effect = seen.effects[name]
        assert (effect.enters, effect.moved) == (done[name, "entered"], done[name, "migrated"])
        assert (sum(effect.leaves.values()), effect.commands) == (done[name, "exited"], sent[name])
    assert sent == {"cart": 9, "vip": 4}


def refusals(shop: Shop, new: PlanSources) -> list[str]:
    found = shop.seen(new)
    old = shop.plan_sources(shop.live_name())
    assert old is not None
    removed = removed_names(read_settings(old), read_settings(new))
    return still_used(next_plan(shop, new, T0), found.used, removed)


USES = scenario(
    "uses",
    "{on: page_viewed, when: 'has(cart.url) || profile.orders >= 0'}",
    "  - set: {gift: \"'mug'\"}\n  - score: {lead: 5}\n"
    '  - branch:\n      - when: segment("buyers")\n        then: [{exit: bought}]\n' + SEND,
)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ("  buyers: profile.orders >= 1\n", "the segment 'buyers' is taken away, and 1 inside uses"),
        ("scores:\n  lead: {events: {page_viewed: 1}}\n", "the score 'lead' is taken away, and 1 inside uses"),
        ("attributes: {gift: string}\n", "the attribute 'gift' is taken away, and 1 inside uses"),
    ],
)
def test_a_name_that_somebody_inside_still_uses_is_not_taken_away(cut: str, said: str) -> None:
    shop = Shop(sources(uses=USES)).feed(event("page_viewed", T0, "c1"))
    settings = SETTINGS.replace(cut, "")
    removed = sources(settings, thanks=THANKS)
    plain = sources(settings, uses=scenario("uses", "{on: page_viewed}", SEND))
    [sentence] = refusals(shop, removed)
    assert said in sentence and sentence.endswith("or `parcours stop uses` first")
    [sentence] = refusals(shop, plain)
    assert said in sentence and sentence.endswith("or edit it with `on_change: migrate`")
    moved = scenario("uses", "{on: page_viewed}", SEND, on_change="migrate")
    assert refusals(shop, sources(settings, uses=moved)) == []
    assert refusals(shop, sources(uses=USES)) == []


def test_a_name_that_nobody_inside_uses_may_go() -> None:
    shop = Shop(sources(uses=USES))
    assert refusals(shop, sources(SETTINGS.replace("  buyers: profile.orders >= 1\n", ""), thanks=THANKS)) == []


def test_a_customer_whom_the_last_pass_has_not_reached_is_taken_as_if_it_had(shop: Shop) -> None:
    second = sources(cart=CART, thanks=THANKS, more=scenario("more", "{on: page_viewed}", SEND))
    shop.plans[second.hash] = second
    book = PlanBook(shop.plan_sources)
    from models.journal import PlanActivated
    from pipeline.runtime.controls import controlled

    shop.progress = controlled(shop.progress, PlanActivated(id="x", plan=second.hash, at=T0 + 2 * HOUR), book.scenarios)
    third = sources(
        cart=CART, thanks=THANKS, vip=scenario("vip", "{on: segment_entered, segment: buyers, existing: yes}")
    )
    assert shop.seen(third).effects["vip"].enters == 4
