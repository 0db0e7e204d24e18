"""What scenarios, and the versions that somebody may be inside, use of the settings: nothing else is kept up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.engine.env import Counter
from pipeline.engine.moving import ANY, Moving
from pipeline.engine.rules import Definitions, Level, Rule, Rules, Segment, Threshold, key_of, reads_of

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Used:
    """What somebody uses: reads of expressions ("segment.vip"), their counters, and scores to be reached."""

    reads: tuple[str, ...] = ()
    counters: tuple[Counter, ...] = ()
    thresholds: tuple[Threshold, ...] = ()


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
    moving = Moving(rules, scores, counters)
    moved = moving.by_event()
    pages = "profile.pages" in reads
    return Rules(
        rules=rules,
        moved=moved,
        with_cart=moving.with_cart(),
        by_any=moved[ANY],
        by_read=moving.by_read(),
        timed=moving.timed(),
        scores=scores,
        scores_by_event=_by((kind, score) for score in scores for kind in score.points),
        counters=counters,
        counters_by_event=_by((counter.on, counter) for counter in counters),
        counts_some=frozenset(one.on for one in counters if one.where is not None),
        pages=pages,
        used=bool(rules or scores or counters or pages),
    )


def _by(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    found: dict[K, tuple[V, ...]] = {}
    for key, value in pairs:
        found[key] = (*found.get(key, ()), value)
    return found
