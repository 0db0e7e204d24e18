"""The compiled plan: what the compiler makes of scenario files and settings, and all that the engine knows of them.

A scenario's steps are a flat program: each op names the index of the op that follows it, so that a position in it is
one number, and the engine needs no tree.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.engine.calendar import Moment
from pipeline.engine.env import Counter, Expr
from pipeline.engine.rules import Definitions, Rules, Threshold
from pipeline.engine.using import Used, make_rules

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# The way in of a scenario that others start: no event brings it.
START = "start"


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait `for_ms` from when the step before was done; an event `restart_on` begins it anew, `at_most_ms` in all."""

    for_ms: int
    next: int
    restart_on: str | None = None
    at_most_ms: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until a moment of the customer's local time: of a day (with an offset), of the week, or the best hour.

    `time_ms` counts from midnight by the clock on the wall, weekdays from 0 (Monday). A day's moment that is already
    past follows `if_past`: go_on, skip_next (go on at `skip`) or exit. The best hour is looked for in `within_ms`.
    """

    next: int
    skip: int
    if_past: str = "go_on"
    time_ms: int | None = None
    weekdays: tuple[int, ...] = ()
    day: Expr | None = None
    offset_ms: int = 0
    best_of: str | None = None
    within_ms: int = DAY_MS
    label: str = ""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way out of a `WaitFor`: an event (with `where`, about send `of`), or a condition; goes on at `goto`."""

    goto: int
    on: str | None = None
    where: Expr | None = None
    when: Expr | None = None
    of: str | None = None
    keep_as: str | None = None


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait for the first alternative that comes or holds already; after `at_most_ms` go on at `otherwise`.

    `since_entry` lets an event count that came after the entry but before this step.
    """

    alternatives: tuple[Alternative, ...]
    otherwise: int
    at_most_ms: int | None = None
    since_entry: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Emit a command by the first of `channels` with an address and consent; see SEND_CHECKS in `engine.sending`."""

    name: str
    channels: tuple[str, ...]
    template: str
    purpose: str
    next: int
    data: tuple[tuple[str, Expr], ...] = ()
    require: tuple[str, ...] = ()
    valid_for_ms: int = DAY_MS
    if_capped: str = "skip"  # skip | exit | wait
    repeat_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """Go on at the first arm whose condition holds (None: always), else at `next`."""

    arms: tuple[tuple[Expr | None, int], ...]
    next: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """Go on at an arm drawn by a hash of (scenario, split, customer); shares are in 1/10000 and sum to 10000."""

    name: str
    arms: tuple[tuple[str, int, int], ...]  # path name, share, goto


@dataclass(frozen=True, slots=True)
class Start:
    """Enrol in another scenario too, by the same entry, and go on."""

    scenario: str
    next: int


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Write attributes of the customer."""

    values: tuple[tuple[str, Expr], ...]
    next: int


@dataclass(frozen=True, slots=True)
class AddScore:
    """Add whole points to scores of the customer."""

    points: tuple[tuple[str, int], ...]
    next: int


@dataclass(frozen=True, slots=True)
class Exit:
    """End the enrolment here with a reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last step is done."""


Op = Wait | Until | WaitFor | Send | Branch | Split | SetAttributes | AddScore | Start | Exit | Done


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

    def __post_init__(self) -> None:
        named = [rule.on for rule in self.exits if rule.on is not None]
        heard = frozenset([*named, self.goal.on] if self.goal is not None else named)
        object.__setattr__(self, "heard", heard)
        object.__setattr__(self, "conditions", tuple(rule for rule in self.exits if rule.when is not None))


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
    silences: tuple[Silence, ...] = ()


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
    entries: dict[str, list[tuple[Scenario, Enter]]] = {}
    remembered: dict[str, tuple[str, ...]] = {}
    for scenario in live:
        for enter in scenario.entries:
            if enter.on == START or enter.moment is not None:
                continue
            entries.setdefault(enter.on, []).append((scenario, enter))
    for scenario in versions.values():
        for kind, fields in scenario.event_fields:
            remembered[kind] = tuple(sorted({*remembered.get(kind, ()), *fields}))
    by_name = {scenario.name: scenario for scenario in live}
    stopped = sorted(name for name, state in (switches or {}).items() if state == "stopped")
    hours = [op.best_of for one in versions.values() for op in one.program if isinstance(op, Until) and op.best_of]
    sends = [op for one in versions.values() for op in one.program if isinstance(op, Send)]
    windows = [cap.per_ms for cap in settings.caps]
    windows += [scenario.limit.per_ms for scenario in versions.values() if scenario.limit]
    return Plan(
        hash=name,
        scenarios=live,
        settings=settings,
        pinned=pinned or {},
        activated=activated or {},
        choose=choose or {},
        switches=switches or {},
        remembered=remembered,
        entries_by_event={kind: tuple(found) for kind, found in entries.items()},
        versions=versions,
        live=by_name,
        draining=tuple(sorted({one for one, version in versions if _drains(by_name.get(one), version)})),
        pass_name="/".join([name, *stopped]),
        issues_vouchers=any("voucher" in value.reads for op in sends for _, value in op.data),
        best_hours=tuple(sorted(dict.fromkeys(hours))),
        rules=make_rules(settings.definitions, _everything_used(settings, live, versions)),
        moments=tuple((one, enter) for one in live for enter in one.entries if enter.moment is not None),
        existing=tuple((one, enter) for one in live for enter in one.entries if enter.existing != "no"),
        known=known or {},
        places_ms=max(windows, default=0),
    )


def _everything_used(
    settings: Settings, live: tuple[Scenario, ...], versions: dict[tuple[str, str], Scenario]
) -> list[Used]:
    """Return what settings, live scenarios and the versions that somebody may be inside use."""
    silences = Used(tuple(read for silence in settings.silences for read in sorted(silence.when.reads)))
    found = [Used(one.uses, one.counters, one.thresholds) for one in (*live, *versions.values())]
    return [silences, *found]
