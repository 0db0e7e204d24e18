"""What a plan says of segments, levels, scores and counts, and which of it is used.

A condition on them changes by an event or by time alone. For events `moved` names the rules that each type may change;
for time every condition says when it may next change (`Expr.changes`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.engine.env import Counter, Expr

# Decay goes in so many equal steps to a half-life.
STEPS = 64


@dataclass(frozen=True, slots=True)
class Segment:
    """A named condition on the customer."""

    name: str
    when: Expr


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score that reached a number of points: in as long as it is there."""

    name: str
    score: str
    at_least: int


@dataclass(frozen=True, slots=True)
class Level:
    """An ordered scale, best first: the first condition that holds names the customer's level."""

    name: str
    arms: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """Points (1/1000) for events, halved every `half_life_ms` (None: kept), in steps of `step_ms`."""

    name: str
    points: Mapping[str, int]
    half_life_ms: int | None = None
    step_ms: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_ms", max(1, (self.half_life_ms or 0) // STEPS))


@dataclass(frozen=True, slots=True)
class Definitions:
    """All segments, levels and scores of the settings, each after those that it reads."""

    rules: tuple[Segment | Level, ...] = ()
    scores: Mapping[str, ScoreRule] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()


Rule = Segment | Threshold | Level


@dataclass(frozen=True, slots=True)
class Moved:
    """What an event may change: `rules`, in their order.

    Scores (bounds in 1/1000 points), counts and ages (a field of the profile, the least duration in ms) that stay
    between the same bounds turn nothing; each stands with the rules that it may turn, as bits in the order of `rules`,
    and so do the rules that are to be looked at `always`. See `engine.margins`.
    """

    rules: tuple[Rule, ...] = ()
    always: int = 0
    scores: tuple[tuple[ScoreRule, tuple[int, ...], int], ...] = ()
    counts: tuple[tuple[Counter, tuple[int, ...], int], ...] = ()
    ages: tuple[tuple[str, int, int], ...] = ()


NOTHING = Moved()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the plan's scenarios use, and the types of events that move each part.

    `moved` has an entry for each type that moves less or more than `by_any`; `with_cart` one for those that may change
    the cart too.
    """

    rules: tuple[Rule, ...] = ()
    moved: Mapping[str, Moved] = field(default_factory=dict)
    with_cart: Mapping[str, Moved] = field(default_factory=dict)
    by_any: Moved = NOTHING
    by_read: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    timed: tuple[Rule, ...] = ()
    scores: tuple[ScoreRule, ...] = ()
    scores_by_event: Mapping[str, tuple[ScoreRule, ...]] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    counters_by_event: Mapping[str, tuple[Counter, ...]] = field(default_factory=dict)
    counts_some: frozenset[str] = frozenset()  # types of which a counter with a condition does not count each event
    pages: bool = False
    used: bool = False


def reads_of(rule: Rule) -> tuple[str, ...]:
    """Return what a rule reads itself."""
    match rule:
        case Segment():
            found = rule.when.reads
        case Level():
            found = frozenset(read for _, arm in rule.arms for read in arm.reads)
        case Threshold():
            return (f"score.{rule.score}",)
    return tuple(sorted(found))


def key_of(rule: Rule) -> str:
    """Return how expressions name what a rule gives: "segment.vip", "level.activity"."""
    return f"level.{rule.name}" if isinstance(rule, Level) else f"segment.{rule.name}"


def is_timed(rule: Rule, decaying: Callable[[str], bool]) -> bool:
    """Say whether time alone may change a rule."""
    match rule:
        case Segment():
            return rule.when.changes is not None
        case Level():
            return any(arm.changes is not None for _, arm in rule.arms)
        case Threshold():
            return decaying(rule.score)


def limits_of(rule: Rule, read: str) -> tuple[int, ...] | None:
    """Return what a rule compares a read with, None where it does something else with it."""
    match rule:
        case Threshold():
            return (rule.at_least,)
        case Segment():
            found = [rule.when]
        case Level():
            found = [arm for _, arm in rule.arms if read in arm.reads]
    if any(read not in one.limits for one in found):
        return None
    return tuple(limit for one in found for limit in one.limits[read])
