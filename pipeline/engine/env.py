"""What an expression sees while it is evaluated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from models.customer import Cold, Enrolment, Profile, Tracked


class Missing(Exception):
    """An expression named a value that is not there, or divided by zero: the condition does not hold."""


class State(Protocol):
    """What an expression reads of a customer: a stored one, or one that is being worked on, as they stand now."""

    @property
    def profile(self) -> Profile:
        """Recency, frequency, money."""

    @property
    def cold(self) -> Cold:
        """Attributes, consents, cart, interests."""

    @property
    def tracked(self) -> Tracked:
        """Segments, levels, scores, counts."""

    @property
    def enrolments(self) -> tuple[Enrolment, ...]:
        """What they are inside."""


class Env(msgspec.Struct, eq=False):
    """The view of one evaluation.

    `event` and `entry` are the data of the event at hand and of the one that began the enrolment (with `id`, `type`
    and `at` among the keys); `names` holds what `as` kept. `now` is log time in UTC milliseconds. `settings` is the
    plan's `Settings`, for currency, zone and consent.
    """

    customer: State
    now: int
    settings: Any
    event: Mapping[str, Any] | None = None
    entry: Mapping[str, Any] | None = None
    names: Mapping[str, Mapping[str, Any]] = {}
    enrolment: Enrolment | None = None
    issue: Callable[[str, Any, int], str] | None = None  # of a send alone: issues a voucher


@dataclass(frozen=True, slots=True)
class Expr:
    """A compiled expression.

    `call(env)` returns the value or raises `Missing`. `reads` names what it looks at, by root or root.field ("cart",
    "profile.orders", "event.total", "entry.order_id", "customer.first_name", "now"), so that the engine knows when
    to look again and which fields to keep. `source` is the text, for decisions and errors. `changes(env)` says when
    (UTC ms, NEVER for none) time alone may next change the value; None where it cannot. `untimed` says why that is not
    known of a part of it. `counters` are the counts in a window that it reads. `limits` names the reads that it only
    compares with constants, as scores ("score.lead": points), counts ("count.KEY") or ages ("profile.last_seen": ms),
    and the values at which it turns: as long as one stays between two of them, nothing of the expression does.
    `terms()` gives the parts that have a value of their own, for whoever explains a decision; nothing else calls it.
    """

    source: str
    call: Callable[[Env], Any]
    reads: frozenset[str] = frozenset()
    changes: Callable[[Env], int] | None = None
    untimed: str = ""
    counters: tuple["Counter", ...] = ()
    limits: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)
    terms: Callable[[], tuple["Term", ...]] = tuple

    def holds(self, env: Env) -> bool:
        """Say whether the condition holds; a missing value makes it not hold."""
        try:
            return self.call(env) is True
        except Missing:
            return False


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a condition with a value of its own: its text, its type ("money", "time", "int"), how it is reached."""

    text: str
    kind: str
    call: Callable[[Env], Any]


@dataclass(frozen=True, slots=True)
class Counter:
    """How many events of a type with a condition there were in a window; `by` counts each value of a field apart.

    `key` names type, window, condition and field, so that an edit elsewhere keeps what was counted.
    """

    key: str
    on: str
    window_ms: int
    where: Expr | None = None
    by: str | None = None
