"""The true cause behind each reason, in a sentence, from what was known then: never from what is known now.

One function for each reason that the engine gives. Each takes a `Case`: the decision, the step and settings in force
at its time, what was known of the customer then, and the records to name events by.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from models.customer import Consent, Place
from models.decision import Decision
from models.event import Event
from models.ids import chance
from pipeline.engine.chances import SHARES
from pipeline.engine.local_time import local, zone_of
from pipeline.engine.person import ADDRESS_OF, consents_to
from pipeline.engine.plan import Plan, Scenario, Send, Split
from pipeline.replay.records import Known, Records, Seen, known_at
from pipeline.replay.shown import moment, span


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why, in a sentence, and the facts that it rests on: times in ISO 8601."""

    text: str
    facts: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One decision and what was in force and known at its time."""

    decision: Decision
    look: Callable[[], Known]
    records: Records
    plan: Plan | None
    scenario: Scenario | None

    @property
    def known(self) -> Known:
        """Return what was known of the customer then: put together only for the reasons that rest on it."""
        return self.look()

    @property
    def op(self) -> Send | None:
        """Return the send that the decision is about."""
        program = self.scenario.program if self.scenario is not None else ()
        return next((op for op in program if isinstance(op, Send) and op.name == self.decision.step), None)


def cause_of(case: Case) -> Cause | None:
    """Return the cause of a decision; None where its outcome and reason say all."""
    one = case.decision
    found = CAUSES.get((one.outcome, one.reason)) or CAUSES.get((one.outcome, ""))
    return found(case) if found is not None else None


def place_of(event: Event) -> str:
    """Return where an event was read: source/partition/offset."""
    at = event.position
    return f"{at.source}/{at.partition}/{at.offset}"


def named(seen: Seen | None, name: str) -> str:
    """Return an event in words: type, time, and where it was read."""
    if seen is None:
        return f"event {name}"
    return f"{seen.event.type} of {moment(seen.event.at)} ({place_of(seen.event)})"


def _channels(case: Case) -> tuple[str, ...]:
    return case.op.channels if case.op is not None else ("email",)


def _no_consent(case: Case) -> Cause:
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


def _no_address(case: Case) -> Cause:
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


def _capped(case: Case) -> Cause:
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


def _quiet(case: Case) -> Cause:
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


def _held_out(case: Case) -> Cause:
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
    text = (
        f"held out: the draw {_percent(drawn)} is below the holdout {whose}, {_percent(share)}, under the plan of then"
    )
    return Cause(text=text, facts={"draw": _percent(drawn), "share": _percent(share), "salt": settings.holdout_salt})


def _percent(share: int) -> str:
    return f"{share / 100:.2f}%"


def _paused(case: Case) -> Cause:
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


def _before_activation(case: Case) -> Cause:
    live = [one.at for one in case.records.plans if case.scenario is not None and one.at >= case.decision.at]
    since = f" (a plan became live at {moment(live[0])})" if live else ""
    return Cause(text=f"it was due before the scenario was live{since}: what is past then is never sent")


def _late(case: Case) -> Cause:
    seen = case.records.event(case.decision.event)
    limit = case.plan.settings.lateness_ms if case.plan is not None else None
    if seen is None:
        return Cause(text="its event came later than the lateness limit: such events start nothing")
    late = seen.event.arrived_at - seen.event.at
    beyond = f"the limit is {span(limit)}" if limit is not None else "beyond the limit"
    if limit is not None and late <= limit:
        text = f"{named(seen, '')} came from a source that had not caught up yet, or had been handed on as late"
    else:
        text = f"{named(seen, '')} arrived at {moment(seen.event.arrived_at)}, {span(late)} after it happened; {beyond}"
    return Cause(text=f"{text}: it updated the profile and started nothing", facts={"late_by": span(late)})


def _again(case: Case) -> Cause:
    ends = [
        one
        for one in case.records.decisions
        if one.scenario == case.decision.scenario
        and one.at <= case.decision.at
        and one.outcome in {"exited", "completed"}
    ]
    rules = {enter.again.mode for enter in case.scenario.entries} if case.scenario is not None else set()
    spans = (
        [span(enter.again.after_ms) for enter in case.scenario.entries if enter.again.mode == "after"]
        if case.scenario is not None
        else []
    )
    rule = (
        f"{spans[0]} must lie between"
        if spans
        else "the scenario lets nobody in twice"
        if "once" in rules
        else "`again` does not let it"
    )
    last = (
        f"the last passage ended at {moment(ends[-1].at)} ({ends[-1].outcome}: {ends[-1].reason})"
        if ends
        else "there was a passage before"
    )
    return Cause(text=f"{last}; {rule}")


def _inside(case: Case) -> Cause:
    entered = [
        one for one in case.records.decisions if one.enrolment == case.decision.enrolment and one.outcome == "entered"
    ]
    since = f" since {moment(entered[-1].at)}" if entered else ""
    return Cause(
        text=f"inside already{since}; the latest such event is kept, and enters when that passage has ended before it"
    )


def _exit_holds(case: Case) -> Cause:
    sources = (
        [rule.when.source for rule in case.scenario.exits if rule.when is not None] if case.scenario is not None else []
    )
    return Cause(text="a condition that ends the scenario held already: " + (" or ".join(sources) or "its exit"))


def _overtaken(case: Case) -> Cause:
    kinds = {rule.on for rule in case.scenario.exits if rule.on} if case.scenario is not None else set()
    entry = case.records.event(case.decision.event)
    since = entry.event.at if entry is not None else case.decision.at
    by = [one for one in case.records.events if one.event.type in kinds and one.event.at >= since]
    text = "overtaken: when its event was read, one that ends the scenario had been read already"
    return Cause(text=text + (f", {named(by[0], '')}" if by else ""))


def _exited(case: Case) -> Cause | None:
    """An exit is either an event's, which is named, or a condition's, which is the reason."""
    one = case.decision
    seen = case.records.event(one.event) if one.event else None
    if seen is None:
        return Cause(text=f"the scenario ended here: {one.reason}") if one.reason else None
    if one.reason == seen.event.type:
        return Cause(text=f"ended by {named(seen, one.event)}", facts={"event": one.event})
    return Cause(text=f"ended as {one.reason}, at {named(seen, one.event)}", facts={"event": one.event})


def _cancelled(case: Case) -> Cause:
    one = case.decision
    seen = case.records.event(one.event) if one.event else None
    by = f", with {named(seen, one.event)}" if seen is not None else ""
    return Cause(text=f"the engine took it back at {moment(one.at)}: {one.reason}{by}")


def _overdue(case: Case) -> Cause:
    return Cause(text="no sender had said what became of it by its valid_until")


def _failed(case: Case) -> Cause:
    missing = ", ".join(str(one) for one in case.decision.detail.get("missing", ()))
    return Cause(text=f"{case.decision.reason}" + (f": {missing}" if missing else ""))


def split_text(scenario: Scenario, one: Decision) -> str | None:
    """Return the draw of a customer in a split and the shares of its paths; None for what is no split."""
    for op in scenario.program:
        if isinstance(op, Split) and op.name == one.step:
            drawn, upto, said = chance(SHARES, "split", scenario.name, op.name, one.customer), 0, list[str]()
            for path, share, _ in op.arms:
                said.append(f"{path} from {_percent(upto)}")
                upto += share
            return f"the draw of {one.customer} is {_percent(drawn)}: {', '.join(said)}"
    return None


def _branched(case: Case) -> Cause | None:
    found = split_text(case.scenario, case.decision) if case.scenario is not None else None
    return Cause(text=found) if found is not None else None


def _silence(case: Case) -> Cause:
    silences = case.plan.settings.silences if case.plan is not None else ()
    purpose = case.op.purpose if case.op is not None else "marketing"
    said = " or ".join(one.when.source for one in silences if one.purpose == purpose)
    return Cause(text=f"the store keeps silent towards the customer: {said}")


CAUSES: dict[tuple[str, str], Callable[[Case], Cause | None]] = {
    ("suppressed", "no_consent"): _no_consent,
    ("suppressed", "no_address"): _no_address,
    ("suppressed", "capped"): _capped,
    ("suppressed", "limit"): _capped,
    ("waiting", "capped"): _capped,
    ("waiting", "limit"): _capped,
    ("waiting", "quiet_hours"): _quiet,
    ("suppressed", "held_out"): _held_out,
    ("entered", "held_out"): _held_out,
    ("completed", "held_out"): _held_out,
    ("suppressed", "paused"): _paused,
    ("suppressed", "silence"): _silence,
    ("suppressed", "before_activation"): _before_activation,
    ("not_entered", "late"): _late,
    ("not_entered", "again"): _again,
    ("not_entered", "inside"): _inside,
    ("not_entered", "exit_holds"): _exit_holds,
    ("not_entered", "overtaken"): _overtaken,
    ("exited", ""): _exited,
    ("cancelled", ""): _cancelled,
    ("settled", "overdue"): _overdue,
    ("failed", ""): _failed,
    ("branched", ""): _branched,
}
