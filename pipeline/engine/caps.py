"""Caps and limits: at most so many messages in a rolling window, counted by places.

A command holds a place from its emission; a *sent* receipt moves it to the time of the call, a cancelled, rejected or
expired one gives it back (see `settling`). A place at time t has left a window of length d at t + d.
"""

from collections.abc import Callable
from dataclasses import dataclass

from models.command import Command
from models.customer import Place
from pipeline.engine.plan import Cap, Limit, Scenario, Send
from pipeline.engine.work import Work

# The most that a cap or limit may allow is 60: more places than this are never counted.
PLACES_MAX = 64


@dataclass(frozen=True, slots=True)
class Full:
    """A cap or limit that has no room, and when it will have (UTC ms; None: never, it allows nobody)."""

    reason: str
    free_at: int | None


def full(work: Work, scenario: Scenario, op: Send, channel: str) -> Full | None:
    """Return the first limit or cap that has no room at `now`; only marketing is under caps."""
    limit = scenario.limit
    if limit is not None:
        mine = [place for place in work.places if place.scenario == scenario.name]
        found = _free_at(mine, limit.per_ms, work.now, lambda within: _limited(limit, within))
        if found != work.now:
            return Full("limit", found)
    if op.purpose != "marketing":
        return None
    for cap in work.plan.settings.caps:
        if cap.channel in {None, channel} and cap.purpose in {None, op.purpose}:
            taken = [place for place in work.places if _counts(cap, place)]
            found = _free_at(taken, cap.per_ms, work.now, _room_under(cap, scenario.priority))
            if found != work.now:
                return Full("capped", found)
    return None


def _limited(limit: Limit, within: list[Place]) -> bool:
    return len(within) < limit.at_most


def _room_under(cap: Cap, priority: int) -> Callable[[list[Place]], bool]:
    def room(within: list[Place]) -> bool:
        above = cap.free_above
        if above is None or priority >= above:
            return len(within) < cap.at_most
        # Places that scenarios above have taken need not be kept free for them any more.
        theirs = sum(1 for place in within if place.priority >= above)
        return len(within) < cap.at_most - max(0, cap.free_count - theirs)

    return room


def _counts(cap: Cap, place: Place) -> bool:
    return cap.channel in {None, place.channel} and cap.purpose in {None, place.purpose}


def _free_at(taken: list[Place], per_ms: int, now: int, room: Callable[[list[Place]], bool]) -> int | None:
    """Return the first time from `now` on at which there is room in the rolling window."""
    for at in (now, *sorted(place.at + per_ms for place in taken)):
        if at >= now and room([place for place in taken if place.at > at - per_ms]):
            return at
    return None


def hold_place(work: Work, scenario: Scenario, command: Command) -> None:
    """Hold a place for a command; places that left every window are forgotten."""
    if scenario.limit is None and command.purpose != "marketing":
        return
    place = Place(
        command=command.id,
        scenario=scenario.name,
        step=command.step,
        channel=command.channel,
        purpose=command.purpose,
        at=work.now,
        priority=scenario.priority,
    )
    recent = [old for old in work.places if old.at > work.now - work.plan.places_ms]
    work.places = (*recent, place)[-PLACES_MAX:]
