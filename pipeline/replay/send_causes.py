"""Why a send that was reached was passed over, or waited: one function for each reason of its checks."""

from typing import Any

from models.customer import Consent, Place
from models.event import Event
from models.ids import chance
from pipeline.engine.chances import SHARES
from pipeline.engine.local_time import local, zone_of
from pipeline.engine.person import ADDRESS_OF, consents_to
from pipeline.replay.case import Case, Cause, named, percent
from pipeline.replay.records import Seen, known_at
from pipeline.replay.shown import moment, span


def _channels(case: Case) -> tuple[str, ...]:
    return case.op.channels if case.op is not None else ("email",)


def no_consent(case: Case) -> Cause:
    """Each channel's word as it stood then; a word that came later is named as such."""
    op, said, facts = case.op, list[str](), dict[str, Any]()
    purpose = op.purpose if op is not None else "marketing"
    default = case.plan.settings.consent_default if case.plan is not None else "none"
    for channel in _channels(case):
        word = _word(case, channel, purpose)
        if word is None:
            said.append(f"no word on {channel} by then, and the store's consent_default was {default!r}")
        else:
            by = named(case.records.event(word.event), word.event)
            paused = f" until {moment(word.until)}" if word.until is not None else ""
            said.append(f"{channel} was refused{paused} by {by}")
            facts[channel] = {"refused_at": moment(word.at), "event": word.event}
    later = _given_later(case, purpose)
    if later is not None:
        said.append(f"consent came later, with {named(later, later.event.id)}")
        facts["given_later"] = later.event.id
    return Cause(text="no consent at the time: " + "; ".join(said), facts=facts)


def _word(case: Case, channel: str, purpose: str) -> Consent | None:
    covering = [
        one for one in case.known.cold.consents if one.channel in {channel, "*"} and one.purpose in {purpose, "*"}
    ]
    pauses = [one for one in covering if one.until is not None and one.until > case.decision.at]
    if pauses:
        return max(pauses, key=lambda one: (one.at, one.event))
    plain = [one for one in covering if one.until is None]
    return max(plain, key=lambda one: (one.at, one.event), default=None)


def _given_later(case: Case, purpose: str) -> Seen | None:
    if case.plan is None:
        return None
    for seen in case.records.events:
        if seen.event.arrived_at > case.decision.at and _speaks(seen.event):
            after = known_at(case.records, seen.event.arrived_at)
            if any(consents_to(after.cold, one, purpose, case.plan.settings, after.now) for one in _channels(case)):
                return seen
    return None


def _speaks(event: Event) -> bool:
    return event.type == "consent_changed" or "consents" in event.data


def no_address(case: Case) -> Cause:
    """Name the address that was wanted, and the event that brought it later."""
    names = [ADDRESS_OF.get(one, one) for one in _channels(case)]
    facts: dict[str, Any] = {"wanted": names}
    text = f"no {' or '.join(names)} was known at the time"
    for seen in case.records.events:
        attributes = seen.event.data.get("attributes") or {}
        if seen.event.arrived_at > case.decision.at and any(
            seen.event.data.get(one, attributes.get(one)) for one in names
        ):
            facts["known_later"] = seen.event.id
            text += f"; it came later, with {named(seen, seen.event.id)}"
            break
    return Cause(text=text, facts=facts)


def capped(case: Case) -> Cause:
    """Name the messages that held the places then: one that was given back holds none."""
    plan, scenario, op, at = case.plan, case.scenario, case.op, case.decision.at
    if plan is None or scenario is None or op is None:
        return Cause(text="a cap had no room; the plan that says which is no longer kept")
    if case.decision.reason == "limit" and scenario.limit is not None:
        limit = scenario.limit
        holding = [one for one in _within(case, limit.per_ms) if one.scenario == scenario.name]
        return _held(f"the scenario's limit of {limit.at_most} in {span(limit.per_ms)} was reached", holding, at)
    for cap in plan.settings.caps:
        holding = [
            one
            for one in _within(case, cap.per_ms)
            if cap.channel in {None, one.channel} and cap.purpose in {None, one.purpose}
        ]
        free = cap.free_count if cap.free_above is not None and scenario.priority < cap.free_above else 0
        if (
            cap.channel in {None, *op.channels}
            and cap.purpose in {None, op.purpose}
            and len(holding) >= cap.at_most - free
        ):
            what = " ".join(word for word in (cap.channel, cap.purpose) if word) or "any"
            kept = f", {free} of them kept free for scenarios from priority {cap.free_above}" if free else ""
            return _held(f"the cap of {cap.at_most} {what} messages in {span(cap.per_ms)} was full{kept}", holding, at)
    return Cause(text="a cap had no room at the time")


def _within(case: Case, per_ms: int) -> list[Place]:
    at = case.decision.at
    return [one for one in case.known.places if at - per_ms < one.at <= at]


def _held(text: str, holding: list[Place], at: int) -> Cause:
    said = ", ".join(f"{one.scenario}/{one.step} of {moment(one.at)}" for one in holding)
    facts = [
        {"scenario": one.scenario, "step": one.step, "command": one.command, "at": moment(one.at)} for one in holding
    ]
    return Cause(text=f"{text}: {said or 'it allows none'}", facts={"at": moment(at), "held_by": facts})


def quiet_hours(case: Case) -> Cause:
    """Say what time it was for the customer."""
    quiet = case.plan.settings.quiet if case.plan is not None else None
    if quiet is None or case.plan is None:
        return Cause(text="it was due in quiet hours, and waited until they ended")
    zone = zone_of(case.known.cold, case.plan.settings)
    hours = f"{_clock(quiet.from_ms)} to {_clock(quiet.to_ms)}"
    there = local(case.decision.at, zone)
    text = f"it was {there:%H:%M} in {zone.key}, in the quiet hours from {hours}: it waited until they ended"
    return Cause(text=text, facts={"local": there.isoformat(), "zone": str(zone.key), "quiet_hours": hours})


def _clock(time_ms: int) -> str:
    minutes = time_ms // 60_000
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def held_out(case: Case) -> Cause:
    """Show the draw and the share under the plan of then."""
    if case.plan is None:
        return Cause(text="held out: in the share that gets nothing, to compare with")
    settings, name = case.plan.settings, case.decision.customer
    drawn = chance(SHARES, "holdout", settings.holdout_salt, name)
    if settings.holdout_share and drawn < settings.holdout_share:
        share, whose = settings.holdout_share, "of all marketing"
    elif case.scenario is not None and case.scenario.holdout_share:
        drawn = chance(SHARES, "holdout", case.scenario.name, settings.holdout_salt, name)
        share, whose = case.scenario.holdout_share, f"of {case.scenario.name}"
    else:
        return Cause(text="held out at the entry, under the settings of that time")
    text = f"held out: the draw {percent(drawn)} is below the holdout {whose}, {percent(share)}, under the plan of then"
    return Cause(text=text, facts={"draw": percent(drawn), "share": percent(share), "salt": settings.holdout_salt})


def paused(case: Case) -> Cause:
    """Say since when an operator had paused it, and until when."""
    mine = {case.decision.scenario, "*"}
    before = [one for one in case.records.switches if one.scenario in mine and one.at <= case.decision.at]
    after = [
        one
        for one in case.records.switches
        if one.scenario in mine and one.at > case.decision.at and one.state == "active"
    ]
    state = [one for one in before if one.state != "active"]
    if not state:
        return Cause(text="an operator had paused it")
    said = "every scenario" if state[-1].scenario == "*" else state[-1].scenario
    since = f"an operator had {state[-1].state} {said} at {moment(state[-1].at)}"
    resumed = f", and resumed it at {moment(after[0].at)}, after this was due" if after else ""
    return Cause(text=since + resumed, facts={"since": moment(state[-1].at)})


def before_activation(case: Case) -> Cause:
    """Say when a plan became live."""
    live = [one.at for one in case.records.plans if case.scenario is not None and one.at >= case.decision.at]
    since = f" (a plan became live at {moment(live[0])})" if live else ""
    return Cause(text=f"it was due before the scenario was live{since}: what is past then is never sent")


def before_backfill(case: Case) -> Cause:
    """Say that it is of before a backfill."""
    text = "it was due before a backfill took the customer in from history: what is past then is never sent"
    return Cause(text=text)


def silence(case: Case) -> Cause:
    """Name the conditions of silence."""
    silences = case.plan.settings.silences if case.plan is not None else ()
    purpose = case.op.purpose if case.op is not None else "marketing"
    said = " or ".join(one.when.source for one in silences if one.purpose == purpose)
    return Cause(text=f"the store keeps silent towards the customer: {said}")
