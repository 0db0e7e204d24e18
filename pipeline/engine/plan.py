"""The compiled plan: what the compiler makes of scenario files and settings, and all that the engine knows of them.

A scenario's steps are a flat program: each op names the index of the op that follows it, so that a position in it is
one number, and the engine needs no tree.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from models.event_types import SESSION_ENDED
from pipeline.engine.calendar import Moment
from pipeline.engine.env import Counter, Expr
from pipeline.engine.program import (
    DAY_MS,
    HOUR_MS,
    AddScore,
    Alternative,
    Branch,
    Done,
    Exit,
    Op,
    Send,
    SetAttributes,
    Split,
    Start,
    Until,
    Wait,
    WaitFor,
)
from pipeline.engine.rules import Definitions, Rules, Threshold
from pipeline.engine.using import Used, make_rules

__all__ = [
    "DAY_MS", "HOUR_MS", "START", "AddScore", "Again", "Alternative", "Branch", "Cap", "Done", "Enter", "Exit",
    "ExitRule", "Goal", "Limit", "Op", "Plan", "QuietHours", "Scenario", "Send", "SetAttributes", "Settings", "Silence",
    "Split", "Start", "Until", "Wait", "WaitFor", "make_plan",
]  # fmt: skip
# The way in of a scenario that others start: no event brings it.
START = "start"
# What conditions read that the steps of scenarios move: no event need come for it.
STEERED = ("inside", "sent", "count", "customer", "score")


@dataclass(frozen=True, slots=True)
class Again:
    """May somebody who was inside enter again? `mode` once | always | after (`after_ms` from the last end)."""

    mode: str = "once"
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Enter:
    """One way in: an event with its condition; `per` gives one enrolment for each value of an expression.

    `moment` stands for a date or calendar entry. `subject` is what a state entry is about ("segment.vip"), and
    `existing` (no, yes, spread) says whether those in it already enter when the scenario is first activated.
    """

    on: str
    when: Expr | None = None
    unless: Expr | None = None
    again: Again = Again()
    per: Expr | None = None
    name: str = ""
    moment: Moment | None = None
    subject: str = ""
    existing: str = "no"


@dataclass(frozen=True, slots=True)
class ExitRule:
    """One way out in the middle of any wait: an event (with `where`), or a condition looked at when it may change."""

    on: str | None = None
    where: Expr | None = None
    when: Expr | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the scenario is for; counted from the entry within `within_ms`; it ends nothing."""

    on: str
    within_ms: int
    where: Expr | None = None
    value: Expr | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `at_most` of this scenario's messages to one customer in any `per_ms`."""

    at_most: int
    per_ms: int


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `at_most` messages of a channel and purpose (None: any) in any `per_ms`.

    A scenario of a priority below `free_above` must leave `free_count` places.
    """

    at_most: int
    per_ms: int
    channel: str | None = None
    purpose: str | None = None
    free_above: int | None = None
    free_count: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One compiled version of a scenario. `entry_fields` are the fields of the entry event that it names.

    `activated_at` is the activation of the plan that brought the scenario: nothing due before it becomes a command.
    """

    name: str
    version: str
    purpose: str
    priority: int
    program: tuple[Op, ...]
    entries: tuple[Enter, ...]
    exits: tuple[ExitRule, ...] = ()
    goal: Goal | None = None
    limit: Limit | None = None
    on_change: str = "pin"
    entry_fields: tuple[str, ...] = ()
    event_fields: tuple[tuple[str, tuple[str, ...]], ...] = ()  # event type -> fields that exits, goals, waits name
    title: str = ""
    template_version: str = ""
    holdout_share: int = 0  # its own, in 1/10000
    uses: tuple[str, ...] = ()  # what its expressions and entries read
    counters: tuple[Counter, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    heard: frozenset[str] = field(init=False, compare=False, repr=False)  # the events that exits and the goal name
    conditions: tuple[ExitRule, ...] = field(init=False, compare=False, repr=False)
    timed: bool = field(init=False, compare=False, repr=False)  # time alone may turn an exit, or what is waited for
    steered: bool = field(init=False, compare=False, repr=False)  # so may what scenarios do

    def __post_init__(self) -> None:
        named = [rule.on for rule in self.exits if rule.on is not None]
        heard = frozenset([*named, self.goal.on] if self.goal is not None else named)
        object.__setattr__(self, "heard", heard)
        object.__setattr__(self, "conditions", tuple(rule for rule in self.exits if rule.when is not None))
        waited = [way.when for op in self.program if isinstance(op, WaitFor) for way in op.alternatives]
        found = [one for one in (*(rule.when for rule in self.exits), *waited) if one is not None]
        object.__setattr__(self, "timed", any(one.changes is not None for one in found))
        read = [read.partition(".")[0] for one in found for read in one.reads]
        object.__setattr__(self, "steered", any(root in STEERED for root in read))


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of day to another (ms after midnight, local; over midnight too); no channel means all."""

    from_ms: int
    to_ms: int
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """When nothing of a purpose (and channel, where one is named) is sent to a customer."""

    when: Expr
    purpose: str
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that the engine reads; the rest of `settings.yaml` belongs to senders and console."""

    store_name: str = ""
    store_url: str = ""
    currency: str = "EUR"
    rates: dict[str, Decimal] = field(default_factory=dict)
    timezone: str = "UTC"
    language: str = "en"
    consent_default: str = "none"  # none | granted: what holds where a customer has said nothing
    require_address: bool = True
    lateness_ms: int = HOUR_MS
    caps: tuple[Cap, ...] = ()
    holdout_share: int = 0  # in 1/10000
    holdout_salt: str = ""
    quiet: QuietHours | None = None
    voucher_key: bytes = field(default=b"", repr=False)
    definitions: Definitions = field(default_factory=Definitions)
    watched: tuple[str, ...] = ()  # reads ("segment.vip") that nothing decides by, kept up for the console
    silences: tuple[Silence, ...] = ()
    rule_version: int = 1  # an intended change of decisions is made behind this: an old plan decides as before


@dataclass(frozen=True, slots=True)
class Plan:
    """All active scenarios (highest priority first, ties by name) and settings, named by the hash of its sources.

    `pinned` holds the versions of earlier plans that somebody may still be inside, by (scenario, version).
    `activated` says when each live scenario (by name) was first activated, in log time (UTC ms).
    `remembered` names the fields to keep of each event type that exits, goals and waits look back at.
    `switches` holds what an operator paused or stopped: scenario name or "*" -> "paused" | "stopped".
    """

    hash: str
    scenarios: tuple[Scenario, ...]
    settings: Settings = Settings()
    pinned: dict[tuple[str, str], Scenario] = field(default_factory=dict)
    activated: dict[str, int] = field(default_factory=dict)
    choose: dict[str, str] = field(default_factory=dict)  # a test fixes a split here: split name -> path name
    switches: dict[str, str] = field(default_factory=dict)
    remembered: dict[str, tuple[str, ...]] = field(default_factory=dict)
    entries_by_event: dict[str, tuple[tuple[Scenario, Enter], ...]] = field(default_factory=dict)
    versions: dict[tuple[str, str], Scenario] = field(default_factory=dict)
    best_hours: tuple[str, ...] = ()  # channels whose opens and clicks are counted by hour
    issues_vouchers: bool = False
    live: dict[str, Scenario] = field(default_factory=dict)
    draining: tuple[str, ...] = ()  # scenarios whose edit lets nobody new in: who is inside stays on an earlier version
    pass_name: str = ""  # names what the activation pass brings about: a customer passes each once
    rules: Rules = field(default_factory=Rules)
    moments: tuple[tuple[Scenario, Enter], ...] = ()
    existing: tuple[tuple[Scenario, Enter], ...] = ()  # entries that take in who is in the segment at activation
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)  # earlier plans -> their scenarios
    timed: bool = False  # some version's exits or waits may turn by time alone
    steered: bool = False  # or by what scenarios do
    sessions: bool = False  # somebody listens to the ends of visits
    tracks: bool = False  # anything is kept of segments, levels, scores, counts, dates or visits
    places_ms: int = 0  # the longest window of any cap or limit: places older than this are forgotten


def _drains(live: Scenario | None, version: str) -> bool:
    return live is not None and live.on_change == "drain" and live.version != version


def make_plan(
    name: str,
    scenarios: Iterable[Scenario],
    settings: Settings | None = None,
    *,
    pinned: dict[tuple[str, str], Scenario] | None = None,
    activated: dict[str, int] | None = None,
    choose: dict[str, str] | None = None,
    switches: dict[str, str] | None = None,
    known: dict[str, tuple[str, ...]] | None = None,
) -> Plan:
    """Put scenarios together into a plan: sort them and derive what the engine looks up by event type."""
    live = tuple(sorted(scenarios, key=lambda scenario: (-scenario.priority, scenario.name)))
    settings = settings or Settings()
    versions = {**(pinned or {}), **{(scenario.name, scenario.version): scenario for scenario in live}}
    entries, remembered = _by_event(live), _looked_back_at(versions.values())
    by_name = {scenario.name: scenario for scenario in live}
    stopped = sorted(name for name, state in (switches or {}).items() if state == "stopped")
    hours = [op.best_of for one in versions.values() for op in one.program if isinstance(op, Until) and op.best_of]
    sends = [op for one in versions.values() for op in one.program if isinstance(op, Send)]
    windows = [cap.per_ms for cap in settings.caps]
    windows += [scenario.limit.per_ms for scenario in versions.values() if scenario.limit]
    rules = make_rules(settings.definitions, _everything_used(settings, live, versions))
    moments = tuple((one, enter) for one in live for enter in one.entries if enter.moment is not None)
    listened = (entries, remembered, rules.scores_by_event, rules.counters_by_event)
    sessions = any(SESSION_ENDED in one for one in listened)
    return Plan(
        hash=name,
        scenarios=live,
        settings=settings,
        pinned=pinned or {},
        activated=activated or {},
        choose=choose or {},
        switches=switches or {},
        remembered=remembered,
        entries_by_event=entries,
        versions=versions,
        live=by_name,
        draining=tuple(sorted({one for one, version in versions if _drains(by_name.get(one), version)})),
        pass_name="/".join([name, *stopped]),
        issues_vouchers=any("voucher" in value.reads for op in sends for _, value in op.data),
        best_hours=tuple(sorted(dict.fromkeys(hours))),
        rules=rules,
        moments=moments,
        sessions=sessions,
        tracks=rules.used or bool(moments) or sessions,
        existing=tuple((one, enter) for one in live for enter in one.entries if enter.existing != "no"),
        known=known or {},
        timed=any(one.timed for one in versions.values()),
        steered=any(one.steered for one in versions.values()),
        places_ms=max(windows, default=0),
    )


def _by_event(live: tuple[Scenario, ...]) -> dict[str, tuple[tuple[Scenario, Enter], ...]]:
    """Return the ways in that each type of event opens."""
    found: dict[str, tuple[tuple[Scenario, Enter], ...]] = {}
    for scenario in live:
        for enter in scenario.entries:
            if enter.on != START and enter.moment is None:
                found[enter.on] = (*found.get(enter.on, ()), (scenario, enter))
    return found


def _looked_back_at(versions: Iterable[Scenario]) -> dict[str, tuple[str, ...]]:
    """Return the fields to keep of each type of event that is remembered."""
    found: dict[str, tuple[str, ...]] = {}
    for scenario in versions:
        for kind, fields in scenario.event_fields:
            found[kind] = tuple(sorted({*found.get(kind, ()), *fields}))
    return found


def _everything_used(
    settings: Settings, live: tuple[Scenario, ...], versions: dict[tuple[str, str], Scenario]
) -> list[Used]:
    """Return what settings, live scenarios and the versions that somebody may be inside use."""
    conditions = [silence.when for silence in settings.silences]
    silences = Used(
        tuple(read for when in conditions for read in sorted(when.reads)),
        tuple(counter for when in conditions for counter in when.counters),
    )
    found = [Used(one.uses, one.counters, one.thresholds) for one in (*live, *versions.values())]
    return [silences, *found, Used(settings.watched)]
