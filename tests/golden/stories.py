"""The seeded stores that were recorded: small plans that use the whole language, and customers who do all sorts."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.command import Command
from tests.explain.story import DAY, HOUR, MINUTE, MONDAY, Story

VOUCHER_KEY = b"golden"
EVENTS, CUSTOMERS = 75, 4

SETTINGS = """\
timezone: Europe/Paris
consent_default: granted
quiet_hours: {from: "21:00", to: "08:00", channels: [sms]}
caps:
  - {channel: web, purpose: marketing, at_most: 3, per: 2d}
  - {purpose: marketing, at_most: 4, per: 7d, keep_free_for: {priority: 80, count: 1}}
holdout: {share: 15%, salt: golden}
attributes: {thanked: bool}
segments: {dear: profile.spent >= 60}
scores: {points: {half_life: 7d, events: {page_viewed: 1, order_placed: 3}}}
levels: {mood: [{hot: 'score("points") >= 4'}, {cold: true}]}
silence: [{purpose: marketing, when: 'count("contact_made", "3d") > 0'}]
"""
CART = """\
scenario: cart
title: Cart
purpose: marketing
priority: 80
enter: {on: cart_changed, when: size(cart.items) > 0, again: always}
limit: {at_most: 2, per: 7d}
exit: [{on: order_placed}, {when: size(cart.items) == 0}]
goal: {on: order_placed, within: 5d, value: event.total}
on_change: migrate
steps:
  - {wait: 45m, restart_on: cart_changed, at_most: 6h}
  - {send: reminder, channel: web, if_capped: wait, with: {items: 'top(cart.items, 2, "price")', total: cart.total}}
  - {wait: 20h}
  - split: words
    paths:
      - {name: voucher, share: 50%, then: [{send: voucher, channel: web, with: {code: 'voucher("G", 5, "7d")'}}]}
      - {name: plain, share: 50%, then: [{send: plain, channel: web, if_capped: exit}]}
"""
ORDER = """\
scenario: order
title: Order
purpose: transactional
priority: 90
enter: {on: order_placed, again: always, per: event.order_id}
exit: [{on: order_cancelled, where: event.order_id == entry.order_id}]
steps:
  - {send: confirmation, channel: sms}
  - wait_for:
      - on: order_shipped
        where: event.order_id == entry.order_id
        as: shipment
        then: [{send: shipped, channel: web, with: {carrier: shipment.carrier}}]
      - on: order_delivered
        where: event.order_id == entry.order_id
        then: []
    at_most: 3d
    otherwise: [{send: sorry, channel: web}]
  - set: {thanked: 'true'}
  - score: {points: 2}
  - start: thanks
"""
THANKS = """\
scenario: thanks
title: Thanks
purpose: marketing
enter: {on: start, again: always}
exit: [{on: order_returned}]
steps:
  - until: {time: "09:00", weekday: [mon, wed, fri]}
  - branch:
      - {when: 'segment("dear") && level("mood") == "hot"', then: [{send: dear, channels: [sms, web]}]}
      - {when: profile.orders > 2, then: [{send: often, channel: web}]}
      - {otherwise: [{exit: enough}]}
"""
DEAR = """\
scenario: dear
title: Dear
purpose: marketing
enter: {on: segment_entered, segment: dear, again: {after: 7d}}
steps: [{wait: 2h}, {send: welcome, channel: sms, valid_for: 2h, if_capped: wait}]
"""
LOOKED = """\
scenario: looked
title: Looked
purpose: marketing
enter: {on: product_viewed, when: 'count_same("product_viewed", "product_id", "3d") >= 2', again: {after: 2d}}
exit: [{on: cart_changed}, {on: level_rose, of: mood}]
steps:
  - {wait: 4h}
  - {send: look, channel: web}
  - wait_for: [{on: message_opened, of: look, then: [{send: offer, channel: web}]}]
    at_most: 2d
    otherwise: [{exit: unread}]
"""
BIRTHDAY = """\
scenario: birthday
title: Birthday
purpose: marketing
enter: {on: {date: customer.birthday, offset: -1d, time: "10:00", every: year}, again: {after: 300d}}
steps: [{send: wish, channel: web}]
"""


def files(**scenarios: str) -> dict[str, str]:
    found = {f"{name}/scenario.yaml": text for name, text in scenarios.items()}
    sms = ("order/confirmation", "thanks/dear", "dear/welcome")
    return found | {f"{name}.en.txt": "Hello" for name in sms if name.split("/")[0] in scenarios}


def store_files() -> dict[str, str]:
    return files(cart=CART, order=ORDER, thanks=THANKS, dear=DEAR, looked=LOOKED, birthday=BIRTHDAY)


class Dice:
    """Chooses what happens next, the same for a seed."""

    def __init__(self, story: Story, seed: int, people: list[str]):
        self.story = story
        self.random = random.Random(seed)
        self.people = people
        self.at = MONDAY + 7 * HOUR
        self.answered = 0

    def go(self, count: int) -> None:
        for number in range(count):
            self.at += self.random.choice((MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, 11 * HOUR))
            self._event(number)
            self._answer()

    def _event(self, number: int) -> None:
        roll, customer = self.random, self.random.choice(self.people)
        product = {"product_id": f"p{roll.randrange(3)}", "price": roll.randrange(500, 4_000), "quantity": 1}
        order = {"order_id": f"o{number // 3}"}
        what: dict[str, dict[str, Any]] = {
            "cart_updated": {"items": [product] * roll.randrange(0, 3)},
            "order_placed": {**order, "items": [product], "total": product["price"]},
            "order_shipped": {**order, "carrier": "post"},
            "order_delivered": order,
            "order_cancelled": order,
            "product_viewed": {"product_id": product["product_id"]},
            "page_viewed": {"url": "https://shop.example/"},
            "customer_updated": {"phone": "+33600000000", "birthday": f"1990-01-{roll.randrange(8, 25):02d}"},
            "consent_changed": {"for_channel": "*", "purpose": "marketing", "given": roll.random() < 0.6},
            "contact_made": {"medium": "chat", "kind": "question"},
        }
        kind = roll.choices(tuple(what), (9, 5, 3, 2, 1, 5, 5, 3, 2, 2))[0]
        # Some claims are older than the record, and one in twenty too old to start anything.
        late = roll.choice((0,) * 14 + (5 * MINUTE,) * 5 + (3 * HOUR,))
        self.story.event(kind, self.at - late, arrived=self.at, customer=customer, name=f"{number}", **what[kind])

    def _answer(self) -> None:
        """Let the sender, and people, answer what went out since."""
        for command in self.story.commands[self.answered :]:
            self.answered += 1
            state = self.random.choices(("sent", "rejected", "expired", ""), (8, 1, 1, 1))[0]
            if state:
                self.story.receipt(command, state, self.at + MINUTE)
            if state == "sent" and self.random.random() < 0.4:
                self._open(command)

    def _open(self, command: Command) -> None:
        about = {"command_id": command.id, "scenario": command.scenario, "step": command.step, "channel": "web"}
        self.story.event("message_opened", self.at + 2 * MINUTE, customer=command.customer, **about)


def people(prefix: str = "c") -> list[str]:
    return [f"{prefix}{number}" for number in range(CUSTOMERS)]


def store(path: Path, seed: int = 24) -> Story:
    """One plan from beginning to end."""
    story = Story(path, store_files(), SETTINGS, voucher_key=VOUCHER_KEY)
    dice = Dice(story, seed, people())
    dice.go(EVENTS)
    story.at(dice.at + 9 * DAY)
    return story


def edits(path: Path, seed: int = 22) -> Story:
    """A plan that is edited under people's feet, paused, stopped and let go on."""
    story = Story(path, files(cart=CART, order=ORDER, thanks=THANKS), SETTINGS, voucher_key=VOUCHER_KEY)
    dice = Dice(story, seed, people())
    dice.go(16)
    story.switch("paused", dice.at, "*")
    dice.go(8)
    story.switch("active", dice.at, "*")
    moved = CART.replace("{wait: 20h}", "{wait: 8h}").replace("{wait: 45m,", "{wait: 2h,")
    drained = ORDER.replace("exit: [", "on_change: drain\nexit: [").replace("at_most: 3d", "at_most: 1d")
    dear = DEAR.replace("again:", "existing: yes, again:")
    story.plan(files(cart=moved, order=drained, thanks=THANKS, dear=dear), SETTINGS, at=dice.at)
    dice.go(10)
    story.switch("stopped", dice.at, "cart")
    dice.go(8)
    story.switch("active", dice.at, "cart")
    dice.go(8)
    story.at(dice.at + 9 * DAY)
    return story


def visitors(path: Path, seed: int = 38) -> Story:
    """Visitors who sign in, on their own devices and on one that two people share; one asks to be forgotten."""
    story = Story(path, files(cart=CART, order=ORDER, thanks=THANKS, looked=LOOKED), SETTINGS, voucher_key=VOUCHER_KEY)
    known, unknown = people()[:3], [f"anon:{number}" for number in range(3)]
    dice = Dice(story, seed, [*known, *unknown])
    dice.go(18)
    for visitor, name in zip(unknown, known, strict=True):
        story.event("identity_linked", dice.at, customer=visitor, known_id=name)
        dice.go(5)
    story.event("identity_linked", dice.at, customer=unknown[0], known_id=known[1])
    dice.go(6)
    story.event("erasure_requested", dice.at, customer=known[2])
    dice.go(6)
    story.at(dice.at + 9 * DAY)
    return story


STORIES: dict[str, Callable[[Path], Story]] = {"store": store, "edits": edits, "visitors": visitors}
