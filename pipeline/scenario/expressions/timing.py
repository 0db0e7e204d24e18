"""When time alone changes the value of an expression: what lets a condition have a timer instead of being polled.

A part that moves with time (now, an age, a count, a score) is *owed* from where it stands. A comparison that takes it
in pays for it, with a function that says when the comparison may next turn; so does a part that goes in steps, where no
comparison did. What is still owed at the end is named: the condition has no timer for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.customer import NEVER
from pipeline.engine.env import Env, Missing

When = Callable[[Env], int]
Crossing = Callable[[Env, int], int]


@dataclass(frozen=True)
class Motion:
    """How a part moves with time: as fast as time (`slope` 1, -1), not (0), or in a way that is not known (None).

    `owed` names the moving parts that it holds. `crossing(env, number)` says when a part that goes in
    steps next comes from below a whole number to it or above, or from there to below it.
    """

    slope: int | None = 0
    owed: tuple[int, ...] = ()
    crossing: Crossing | None = None


STILL = Motion()


@dataclass(frozen=True)
class Side:
    """A side of a comparison: how it is evaluated, and its value where that stands in the text."""

    call: Callable[[Env], Any]
    fixed: Any = None


def guarded(when: When) -> When:
    """A part without a value does not change with time: only an event gives it one."""

    def call(env: Env) -> int:
        try:
            return when(env)
        except (Missing, TypeError):
            return NEVER

    return call


@dataclass
class Timing:
    """The moving parts of one expression, and when it may change."""

    owed: dict[int, tuple[str, When | None]] = field(default_factory=dict)
    whens: list[When] = field(default_factory=list)
    untimed: str = ""
    _next: int = 0

    def owe(self, name: str, steps: When | None = None) -> tuple[int, ...]:
        """Note a moving part; `steps` says when it next changes, where it goes in steps."""
        self._next += 1
        self.owed[self._next] = (name, steps)
        return (self._next,)

    def pay(self, parts: tuple[int, ...], when: When | None = None) -> None:
        """Take parts as timed by a function."""
        for part in parts:
            self.owed.pop(part, None)
        if when is not None:
            self.whens.append(guarded(when))

    def compared(self, sign: str, left: Motion, right: Motion, one: Side, other: Side) -> None:
        """Pay for the moving parts of a comparison, where it is known when it turns."""
        owed = left.owed + right.owed
        if not owed:
            return
        if left.crossing is not None and not right.owed:
            self.pay(owed, _crossed(left.crossing, sign, other))
        elif right.crossing is not None and not left.owed:
            self.pay(owed, _crossed(right.crossing, FLIPPED[sign], one))
        elif left.slope is not None and right.slope is not None:
            slope = left.slope - right.slope
            if slope == 0:
                self.pay(owed)
            elif slope in {1, -1}:
                self.pay(owed, _met(one, other, slope))

    def macro(self, owed: dict[int, tuple[str, When | None]], whens: int, name: str) -> None:
        """A macro's body was compiled: what moves in it does so for each item, and has no timer."""
        if self.owed != owed or len(self.whens) != whens:
            self.untimed = f"time inside {name}()"
            self.owed = owed
            del self.whens[whens:]

    def changes(self) -> When | None:
        """Return when the whole may next change by time alone, None for never; what goes in steps is taken in."""
        for name, steps in self.owed.values():
            if steps is None:
                self.untimed = self.untimed or name
            else:
                self.whens.append(guarded(steps))
        self.owed = {}
        whens = tuple(self.whens)
        if not whens:
            return None
        if len(whens) == 1:
            return whens[0]
        return lambda env: min(when(env) for when in whens)


# What a comparison says from its other side.
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def bounds(sign: str, number: Any) -> tuple[int, ...]:
    """Return the whole numbers such that a comparison with a number turns where a value comes to one from below."""
    above = int(number // 1) + 1
    at = above - 1 if number == above - 1 else above
    match sign:
        case ">=" | "<":
            return (at,)
        case ">" | "<=":
            return (above,)
        case _:
            return tuple(dict.fromkeys((at, above)))


def _crossed(crossing: Crossing, sign: str, number: Side) -> When:
    if type(number.fixed) is not int:
        return lambda env: min(crossing(env, bound) for bound in bounds(sign, number.call(env)))
    found = bounds(sign, number.fixed)
    if len(found) == 1:
        only = found[0]
        return lambda env: crossing(env, only)
    return lambda env: min(crossing(env, bound) for bound in found)


def _met(one: Side, other: Side, slope: int) -> When:
    """Return when two sides, which come nearer as time passes, are equal, and the millisecond after."""
    left, right, fixed = one.call, other.call, other.fixed

    def call(env: Env) -> int:
        met = env.now - slope * (left(env) - (right(env) if fixed is None else fixed))
        if met > env.now:
            return int(met)
        return env.now + 1 if met == env.now else NEVER

    return call
