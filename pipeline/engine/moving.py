"""Which events, and which reads, may change each rule, and how far they may go without turning anything."""

from collections.abc import Iterable

from models.event_types import OWN_ACTS, VIEWED
from pipeline.engine.env import Counter
from pipeline.engine.rules import Moved, Rule, ScoreRule, is_timed, key_of, limits_of, reads_of
from pipeline.engine.scores import POINT

ORDER = ("order_placed",)
LOOKS = ("product_viewed", "cart_item_added", "order_placed")
BACK = ("order_cancelled", "order_refunded", "order_returned")
# Times of the profile that only ever move forward: the later event wins.
FORWARD = ("last_seen", "last_visit_at", "last_open_at", "last_click_at", "last_order_at", "last_return_at")
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
CHANGED = "cart_changed"
PERSON = ("customer_signed_up", "customer_updated")
CONSENT = (*PERSON, "consent_changed", "message_bounced", "message_complained", "message_unsubscribed")
ANY = "*"
# What is not named here, or above, may be moved by any event.
MOVED_BY = {"cart": CART, "customer": PERSON, "consent": CONSENT, "now": (), "segment": (), "level": ()}


class Moving:
    """Looks up, for the rules of one plan, what moves them."""

    def __init__(self, rules: tuple[Rule, ...], scores: tuple[ScoreRule, ...], counters: tuple[Counter, ...]):
        self.scores = {score.name: score for score in scores}
        self.counters = {counter.key: counter for counter in counters}
        self.rules = {key_of(rule): rule for rule in rules}
        self.deep = {key: self._deep(rule) for key, rule in self.rules.items()}
        self.kinds = {
            key: [kind for read in reads for kind in self._moved_by(read)] for key, reads in self.deep.items()
        }

    def by_event(self) -> dict[str, Moved]:
        """Return what each type moves that any rule names; `ANY` stands for the others."""
        return {
            kind: self.moved((kind,))
            for kind in sorted({ANY, *(kind for found in self.kinds.values() for kind in found)})
        }

    def with_cart(self) -> dict[str, Moved]:
        """Return what each type moves that may change the cart, together with that change."""
        return {kind: self.moved((kind, CHANGED)) for kind in CART}

    def by_read(self) -> dict[str, tuple[Rule, ...]]:
        """Return the rules that each read may change."""
        reads = sorted({read for found in self.deep.values() for read in found})
        return {read: tuple(rule for key, rule in self.rules.items() if read in self.deep[key]) for read in reads}

    def timed(self) -> tuple[Rule, ...]:
        """Return the rules that time alone may change, also through those that they read."""
        own = {key for key, rule in self.rules.items() if is_timed(rule, self._decaying)}
        return tuple(
            rule for key, rule in self.rules.items() if key in own or any(read in own for read in self.deep[key])
        )

    def moved(self, kinds: tuple[str, ...]) -> Moved:
        """Return what events of some types move together."""
        wanted = (*kinds, ANY)
        rules = {key: rule for key, rule in self.rules.items() if any(kind in wanted for kind in self.kinds[key])}
        limits: dict[str, list[int]] = {}
        always: list[str] = []
        for key, rule in rules.items():
            for read in reads_of(rule):
                if not any(kind in wanted for kind in self._moved_by(read)):
                    continue
                found = limits_of(rule, read) if self._has_margin(read) else None
                if found is None:
                    always.append(key)
                else:
                    limits.setdefault(read, []).extend(found)
            if any(read in always for read in self.deep[key]):
                always.append(key)
        order = list(rules)

        def turned_by(read: str) -> int:
            return sum(1 << index for index, key in enumerate(order) if read in self.deep[key])

        return Moved(
            rules=tuple(rules.values()),
            always=sum(1 << index for index, key in enumerate(order) if key in always),
            scores=tuple(
                (self.scores[name], tuple(bound * POINT for bound in found), turned_by(f"score.{name}"))
                for name, found in _of("score", limits)
            ),
            counts=tuple(
                (self.counters[name], tuple(found), turned_by(f"count.{name}")) for name, found in _of("count", limits)
            ),
            ages=tuple((name, found[0], turned_by(f"profile.{name}")) for name, found in _of("profile", limits)),
        )

    def _has_margin(self, read: str) -> bool:
        root, _, name = read.partition(".")
        return (root == "score" and name in self.scores) or (root == "profile" and name in FORWARD) or root == "count"

    def _decaying(self, score: str) -> bool:
        found = self.scores.get(score)
        return found is not None and found.half_life_ms is not None

    def _deep(self, rule: Rule) -> tuple[str, ...]:
        """Return what a rule reads, also through the segments and levels that it reads."""
        found: list[str] = []
        for read in reads_of(rule):
            inner = self.rules.get(read)
            found += [read, *(self._deep(inner) if inner is not None else ())]
        return tuple(dict.fromkeys(found))

    def _moved_by(self, read: str) -> tuple[str, ...]:
        root, _, name = read.partition(".")
        if root == "profile":
            return PROFILE_MOVED_BY.get(name, (ANY,))
        if root == "score":
            return tuple(self.scores[name].points) if name in self.scores else ()
        if root == "count":
            return (self.counters[name].on,) if name in self.counters else ()
        return MOVED_BY.get(root, (ANY,))


def _of(root: str, limits: dict[str, list[int]]) -> Iterable[tuple[str, list[int]]]:
    """Yield the names of one root with their limits, least first."""
    for read in sorted(limits):
        kind, _, name = read.partition(".")
        if kind == root:
            yield name, sorted(dict.fromkeys(limits[read]))
