"""What a plan says of segments, levels, scores and counts, and which of it is used.

A condition on them changes by an event or by time alone. For events `by_event` names the rules that each type may
change; for time every condition says when it may next change (`Expr.changes`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from models.event_types import OWN_ACTS, VIEWED
from pipeline.engine.env import Counter, Expr

K = TypeVar("K")
V = TypeVar("V")


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
    """Points (1/1000) for events, halved every `half_life_ms` (None: kept)."""

    name: str
    points: Mapping[str, int]
    half_life_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """All segments, levels and scores of the settings, each after those that it reads."""

    rules: tuple[Segment | Level, ...] = ()
    scores: Mapping[str, ScoreRule] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()


Rule = Segment | Threshold | Level


@dataclass(frozen=True, slots=True)
class Rules:
    """What the plan's scenarios use, and the types of events that move each part."""

    rules: tuple[Rule, ...] = ()
    by_event: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    by_read: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    any_event: tuple[Rule, ...] = ()  # moved by events of any other type
    timed: tuple[Rule, ...] = ()
    scores: tuple[ScoreRule, ...] = ()
    scores_by_event: Mapping[str, tuple[ScoreRule, ...]] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    counters_by_event: Mapping[str, tuple[Counter, ...]] = field(default_factory=dict)
    pages: bool = False
    used: bool = False


@dataclass(frozen=True, slots=True)
class Used:
    """What somebody uses: reads of expressions ("segment.vip"), their counters, and scores to be reached."""

    reads: tuple[str, ...] = ()
    counters: tuple[Counter, ...] = ()
    thresholds: tuple[Threshold, ...] = ()


ORDER = ("order_placed",)
LOOKS = ("product_viewed", "cart_item_added", "order_placed")
BACK = ("order_cancelled", "order_refunded", "order_returned")
# Which events move each field of the profile; a field that is not here may be moved by any.
PROFILE_MOVED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("first_seen", "last_seen"), tuple(sorted(OWN_ACTS))),
    **dict.fromkeys(("visits", "last_visit_at"), VIEWED),
    **dict.fromkeys(
        ("orders", "spent", "last_order_at", "first_order_at", "mean_basket", "days_between_orders"), ORDER
    ),
    **dict.fromkeys(("bought_products", "purchase_months"), ORDER),
    **dict.fromkeys(("top_categories", "top_brands", "top_products"), LOOKS),
    **dict.fromkeys(("opens", "last_open_at"), ("message_opened",)),
    **dict.fromkeys(("clicks", "last_click_at"), ("message_clicked",)),
    **dict.fromkeys(("last_rating", "last_rating_at"), ("review_posted",)),
    "refunded": BACK,
    "last_return_at": ("order_returned",),
    "uncounted": (*ORDER, *BACK),
    "pages": VIEWED,
}
CART = ("cart_updated", "cart_item_added", "cart_item_removed", "order_placed")
PERSON = ("customer_signed_up", "customer_updated")
CONSENT = (*PERSON, "consent_changed", "message_bounced", "message_complained", "message_unsubscribed")
ANY = "*"


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


def _closure(definitions: Definitions, wanted: Iterable[str]) -> tuple[list[Segment | Level], list[str]]:
    """Return the rules that are wanted or that such a rule reads, in their order, and all that they read."""
    reads, kept = list(wanted), []
    for rule in reversed(definitions.rules):
        if key_of(rule) in reads:
            kept.append(rule)
            reads += reads_of(rule)
    return kept[::-1], list(dict.fromkeys(reads))


def make_rules(definitions: Definitions, users: Sequence[Used]) -> Rules:
    """Put together what is used: nothing else is computed."""
    wanted = [read for user in users for read in user.reads]
    named, reads = _closure(definitions, wanted)
    thresholds = {one.name: one for user in users for one in user.thresholds}
    rules: tuple[Rule, ...] = (*named, *(thresholds[name] for name in sorted(thresholds)))
    reads += [f"score.{one.score}" for one in thresholds.values()]
    scores = tuple(definitions.scores[name] for name in sorted(definitions.scores) if f"score.{name}" in reads)
    found = {one.key: one for user in users for one in user.counters}
    found |= {one.key: one for one in definitions.counters if f"count.{one.key}" in reads}
    counters = tuple(found[key] for key in sorted(found))
    moved = _Moved(rules, scores, counters)
    pages = "profile.pages" in reads
    return Rules(
        rules=rules,
        by_event=moved.by_event,
        by_read=moved.by_read,
        any_event=moved.by_event.get(ANY, ()),
        timed=moved.timed(),
        scores=scores,
        scores_by_event=_by((kind, score) for score in scores for kind in score.points),
        counters=counters,
        counters_by_event=_by((counter.on, counter) for counter in counters),
        pages=pages,
        used=bool(rules or scores or counters or pages),
    )


def _by(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    found: dict[K, tuple[V, ...]] = {}
    for key, value in pairs:
        found[key] = (*found.get(key, ()), value)
    return found


class _Moved:
    """Which types of events, and which reads, may change each rule."""

    def __init__(self, rules: tuple[Rule, ...], scores: tuple[ScoreRule, ...], counters: tuple[Counter, ...]):
        self.scores = {score.name: score for score in scores}
        self.counters = {counter.key: counter for counter in counters}
        self.rules = {key_of(rule): rule for rule in rules}
        kinds = {key: self._kinds(rule) for key, rule in self.rules.items()}
        known = sorted({kind for found in kinds.values() for kind in found})
        self.by_event = {
            kind: tuple(rule for key, rule in self.rules.items() if kind in kinds[key] or ANY in kinds[key])
            for kind in known
        }
        deep = {key: self._deep(rule) for key, rule in self.rules.items()}
        roots = sorted({read for found in deep.values() for read in found})
        self.by_read = {read: tuple(rule for key, rule in self.rules.items() if read in deep[key]) for read in roots}

    def decaying(self, score: str) -> bool:
        found = self.scores.get(score)
        return found is not None and found.half_life_ms is not None

    def timed(self) -> tuple[Rule, ...]:
        """Return the rules that time alone may change, also through those that they read."""
        own = {key for key, rule in self.rules.items() if is_timed(rule, self.decaying)}
        return tuple(
            rule for key, rule in self.rules.items() if key in own or any(read in own for read in self._deep(rule))
        )

    def _deep(self, rule: Rule) -> tuple[str, ...]:
        """Return what a rule reads, also through the segments and levels that it reads."""
        found: list[str] = []
        for read in reads_of(rule):
            inner = self.rules.get(read)
            found += [read, *(self._deep(inner) if inner is not None else ())]
        return tuple(dict.fromkeys(found))

    def _kinds(self, rule: Rule) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind for read in self._deep(rule) for kind in self._moved_by(read)))

    def _moved_by(self, read: str) -> tuple[str, ...]:
        root, _, name = read.partition(".")
        if root == "profile":
            return PROFILE_MOVED_BY.get(name, (ANY,))
        if root == "score":
            return tuple(self.scores[name].points) if name in self.scores else ()
        if root == "count":
            return (self.counters[name].on,) if name in self.counters else ()
        known = {
            "cart": CART,
            "customer": PERSON,
            "consent": CONSENT,
            "now": (),
            "segment": (),
            "level": (),
        }
        return known.get(root, (ANY,))
