"""Names that a plan takes away although somebody inside still uses them: that is refused."""

from collections import Counter
from collections.abc import Iterator

from models.settings import SettingsSpec
from pipeline.engine.plan import AddScore, Plan, Scenario, SetAttributes
from pipeline.scenario.shipped_levels import levels_of, scores_of

Named = tuple[str, str]  # kind (segment, level, score, attribute) and name
KINDS = {"segment": "segment", "level": "level", "score": "score", "customer": "attribute"}


def removed_names(old: SettingsSpec, new: SettingsSpec) -> list[Named]:
    """Return the names of the settings that an edit takes away."""
    both = [
        ("segment", list(old.segments), new.segments),
        ("level", list(levels_of(old)), levels_of(new)),
        ("score", list(scores_of(old)), scores_of(new)),
        ("attribute", list(old.attributes), new.attributes),
    ]
    return [(kind, name) for kind, names, kept in both for name in names if name not in kept]


def used_by(scenario: Scenario) -> Iterator[Named]:
    """Yield what one version uses of the settings."""
    reads = [*scenario.uses]
    reads += [read for one in scenario.counters if one.where is not None for read in sorted(one.where.reads)]
    for read in reads:
        root, _, name = read.partition(".")
        if root in KINDS and name:
            yield KINDS[root], name
    for threshold in scenario.thresholds:
        yield "score", threshold.score
    for op in scenario.program:
        if isinstance(op, SetAttributes):
            yield from (("attribute", name) for name, _ in op.values)
        elif isinstance(op, AddScore):
            yield from (("score", name) for name, _ in op.points)


def still_used(new: Plan, inside: Counter[tuple[str, str]], removed: list[Named]) -> list[str]:
    """Return a sentence for each removed name that a version uses on which somebody stays."""
    found = []
    for (name, version), count in sorted(inside.items()):
        live, stays = new.live.get(name), new.pinned.get((name, version))
        if stays is None or (live is not None and (live.on_change == "migrate" or live.version == version)):
            continue
        for kind, gone in sorted(dict.fromkeys(used_by(stays))):
            if (kind, gone) in removed:
                found.append(_sentence(kind, gone, name, version, count, is_live=live is not None))
    return found


def _sentence(kind: str, gone: str, scenario: str, version: str, count: int, *, is_live: bool) -> str:
    way = "edit it with `on_change: migrate`" if is_live else f"`parcours stop {scenario}` first"
    return (
        f"the {kind} {gone!r} is taken away, and {count} inside {scenario} (version {version}) still use it: "
        f"keep it until they are through, or {way}"
    )
