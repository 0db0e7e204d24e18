"""A tree to a typed closure: names and types are checked once, here; evaluation only computes."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from typing import Any

from models.money import exponent
from pipeline.engine.env import Counter, Env, Expr, Missing
from pipeline.scenario.expressions import values
from pipeline.scenario.expressions.arithmetic import arithmetic
from pipeline.scenario.expressions.parse import ExpressionError, Node, parse, results_of
from pipeline.scenario.expressions.timing import FLIPPED, Motion, Side, Timing, bounds
from pipeline.scenario.expressions.typed import Call, Typed
from pipeline.scenario.expressions.types import (
    BOOL,
    DATE,
    DOUBLE,
    DYN,
    INT,
    MONEY,
    NULL,
    NUMBERS,
    ORDERED,
    STRING,
    TIME,
    Type,
)

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


INT_MAX = 2**63 - 1


@dataclass(frozen=True)
class Names:
    """What functions may name: segments, levels with their steps, scores (do they decay?), scenarios, events.

    `scenario` is the one that the expression stands in, "" in the settings.
    """

    segments: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scores: Mapping[str, bool] = field(default_factory=dict)
    scenarios: tuple[str, ...] = ()
    events: Mapping[str, Type] = field(default_factory=dict)
    scenario: str = ""


@dataclass(frozen=True)
class Scope:
    """What an expression may name: each root's object type, and what its fields are read by.

    `roots` maps a root name (customer, profile, cart, event, entry, a name given by `as`) to its type.
    """

    roots: Mapping[str, Type]
    currency: str = "EUR"
    kept: frozenset[str] = frozenset()  # names given by `as`
    names: Names = field(default_factory=Names)


@dataclass
class Compiler:
    """Compiles one expression in one scope; collects what it reads, how often, and what that is compared with."""

    scope: Scope
    reads: set[str] = field(default_factory=set)
    variables: dict[str, tuple[Type, list[Any]]] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    counters: dict[str, Counter] = field(default_factory=dict)
    goods: frozenset[int] = frozenset()  # where a call may stand that the sender's catalogue answers
    uses: dict[str, int] = field(default_factory=dict)
    limits: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)

    def read(self, name: str) -> str:
        """Note a read, and return it."""
        self.reads.add(name)
        self.uses[name] = self.uses.get(name, 0) + 1
        return name

    def compile(self, node: Node) -> Typed:
        """Compile a node of any kind."""
        build: Callable[[Node], Typed] = getattr(self, f"_{node.kind}")
        return build(node)

    def _literal(self, node: Node) -> Typed:
        value = node.value
        kinds = {bool: BOOL, int: INT, float: DOUBLE, str: STRING, type(None): NULL}
        if isinstance(value, int) and not isinstance(value, bool) and value > INT_MAX:
            raise ExpressionError("a whole number beyond 64 bits", node.offset)
        number = node.text if type(value) in {int, float} else None
        return Typed(lambda env: value, kinds[type(value)], number, fixed=value)

    def _name(self, node: Node) -> Typed:
        if node.value in self.variables:
            kind, cell = self.variables[node.value]
            return Typed(lambda env: cell[0], kind)
        if node.value == "now":
            self.reads.add("now")
            return Typed(lambda env: env.now, TIME, motion=Motion(1, self.timing.owe("now")))
        known = [*self.scope.roots, "now"]
        if node.value in self.scope.roots:
            raise ExpressionError(
                f"{node.value!r} needs a field, as in {node.value}.{_first(self.scope, node.value)}", node.offset
            )
        raise ExpressionError(f"unknown name {node.value!r}{nearest(node.value, known)}", node.offset)

    def _select(self, node: Node) -> Typed:
        target = node.parts[0]
        if target.kind == "name" and target.value not in self.variables and target.value in self.scope.roots:
            return self._root(node, target.value)
        inner = self.compile(target)
        kind = _field_type(inner.type, node)
        name = str(node.value)

        def call(env: Env) -> Any:
            return values.field_of(inner.call(env), name)

        return Typed(values.as_date(call) if kind == DATE else call, kind)

    def _root(self, node: Node, root: str) -> Typed:
        name = str(node.value)
        kind = _field_type(self.scope.roots[root], node, root)
        self.read(f"{root}.{name}")
        if root == "profile":
            computed = values.COMPUTED.get(name)
            return Typed(computed[1] if computed else values.profile_field(name), kind)
        readers = {"cart": values.cart_field, "customer": values.attribute}
        readers |= {"event": values.event_field, "entry": values.entry_field}
        reader = readers.get(root)
        call = reader(name) if reader else values.kept_field(root, name)
        return Typed(values.as_date(call) if kind == DATE else call, kind)

    def _index(self, node: Node) -> Typed:
        target, index = (self.compile(part) for part in node.parts)
        if target.type.kind not in {"list", "map", "dyn"}:
            raise ExpressionError(f"a {target.type} has no [ ]", node.offset)

        def call(env: Env) -> Any:
            held, at = target.call(env), index.call(env)
            if isinstance(at, int) and at < 0:
                raise Missing("index")
            try:
                return held[at]
            except (KeyError, IndexError, TypeError):
                raise Missing("index") from None

        return Typed(call, target.type.element or DYN)

    def _list(self, node: Node) -> Typed:
        items = [self.compile(part) for part in node.parts]
        calls = [item.call for item in items]
        kinds = list(dict.fromkeys(item.type for item in items))
        return Typed(lambda env: [call(env) for call in calls], Type("list", kinds[0] if len(kinds) == 1 else DYN))

    def _map(self, node: Node) -> Typed:
        parts = [self.compile(part) for part in node.parts]
        pairs = [(key.call, value.call) for key, value in zip(parts[::2], parts[1::2], strict=True)]
        return Typed(lambda env: values.made_map([(key(env), value(env)) for key, value in pairs]), Type("map", DYN))

    def _not(self, node: Node) -> Typed:
        inner = self._condition(node.parts[0])
        return Typed(lambda env: not inner(env), BOOL)

    def _minus(self, node: Node) -> Typed:
        if node.parts[0].kind == "literal" and node.parts[0].value == INT_MAX + 1 and "." not in node.parts[0].text:
            # The least whole number has no positive counterpart.
            return Typed(lambda env: -INT_MAX - 1, INT, f"-{node.parts[0].text}")
        inner = self.compile(node.parts[0])
        if inner.type.kind not in {"int", "double", "money", "duration", "dyn"}:
            raise ExpressionError(f"'-' of a {inner.type}", node.offset)
        text = f"-{inner.literal}" if inner.literal else None
        slope = None if inner.motion.slope is None else -inner.motion.slope
        return Typed(lambda env: values.negative(inner.call(env)), inner.type, text, Motion(slope, inner.motion.owed))

    def _condition(self, node: Node) -> Call:
        inner = self.compile(node)
        if inner.type.kind not in {"bool", "dyn"}:
            raise ExpressionError(f"a condition is needed here, this is a {inner.type}", node.offset)
        return inner.call

    def _and(self, node: Node) -> Typed:
        left, right = (self._condition(part) for part in node.parts)

        def call(env: Env) -> bool:
            try:
                decided = left(env)
            except Missing:
                # CEL: an error on one side is absorbed if the other side decides.
                if right(env) is False:
                    return False
                raise
            return right(env) if decided else False

        return Typed(call, BOOL)

    def _or(self, node: Node) -> Typed:
        left, right = (self._condition(part) for part in node.parts)

        def call(env: Env) -> bool:
            try:
                decided = left(env)
            except Missing:
                if right(env) is True:
                    return True
                raise
            return True if decided else right(env)

        return Typed(call, BOOL)

    def _ternary(self, node: Node) -> Typed:
        test = self._condition(node.parts[0])
        then, other = self.compile(node.parts[1]), self.compile(node.parts[2])
        kind = then.type if then.type == other.type else DYN
        owed = then.motion.owed + other.motion.owed
        motion = Motion(None if owed else 0, owed)
        return Typed(lambda env: then.call(env) if test(env) else other.call(env), kind, motion=motion)

    def _binary(self, node: Node) -> Typed:
        left, right = (self.compile(part) for part in node.parts)
        if node.value == "in":
            if right.type.kind not in {"list", "map", "dyn"}:
                raise ExpressionError(f"'in' needs a list or a map, not a {right.type}", node.offset)
            return Typed(lambda env: values.holds(right.call(env), left.call(env)), BOOL)
        if node.value in COMPARE:
            return self._compare(node, left, right)
        return arithmetic(node, left, right)

    def _compare(self, node: Node, left: Typed, right: Typed) -> Typed:
        left, right = self.same_unit(left, right), self.same_unit(right, left)
        kinds = {left.type.kind, right.type.kind}
        comparable = len(kinds) == 1 or kinds <= NUMBERS or "dyn" in kinds or "null" in kinds
        ordered = node.value in {"==", "!="} or kinds <= ORDERED | {"dyn"}
        if not comparable or not ordered:
            raise ExpressionError(f"{left.type} {node.value} {right.type} cannot be compared", node.offset)
        check_choice(node, left, right)
        compare, one, other = COMPARE[node.value], left.call, right.call
        if not kinds <= ORDERED and node.value in {"==", "!="}:
            compare = values.equal if node.value == "==" else values.differ
        sign = str(node.value)
        self.timing.compared(sign, left.motion, right.motion, Side(one, left.fixed), Side(other, right.fixed))
        self._limit(sign, left, right)
        self._limit(FLIPPED[sign], right, left)
        fixed = right.fixed

        def call(env: Env) -> bool:
            try:
                return compare(one(env), other(env))
            except TypeError:
                raise Missing("types") from None

        def with_fixed(env: Env) -> bool:
            try:
                return compare(one(env), fixed)
            except TypeError:
                raise Missing("types") from None

        return Typed(call if fixed is None else with_fixed, BOOL)

    def _limit(self, sign: str, typed: Typed, other: Typed) -> None:
        """Note where a comparison of a score, count or age turns, where that stands in the text."""
        if typed.probe and type(other.fixed) is int:
            is_age = typed.probe.startswith("profile.")
            found = (other.fixed,) if is_age else bounds(sign, other.fixed)
            self.limits.setdefault(typed.probe, []).append(found)

    def limited(self) -> dict[str, tuple[int, ...]]:
        """Return the reads of which nothing is used but such comparisons, with the values at which these turn."""
        return {
            read: tuple(sorted(dict.fromkeys(limit for one in found for limit in one)))
            for read, found in sorted(self.limits.items())
            if len(found) == self.uses.get(read)
        }

    def same_unit(self, one: Typed, other: Typed) -> Typed:
        """Scale a plain number that stands beside money to minor units, exactly; read a text beside a date as one."""
        if other.type == DATE and one.type.kind == "string":
            return Typed(values.as_date(one.call), DATE)
        if other.type.kind != "money" or one.type.kind not in NUMBERS:
            return one
        digits = exponent(self.scope.currency)
        if one.literal is not None:
            scaled = Decimal(one.literal).scaleb(digits)
            exact = int(scaled) if scaled == scaled.to_integral_value() else scaled
            return Typed(lambda env: exact, MONEY, fixed=exact)
        factor = 10**digits
        return Typed(lambda env: Decimal(str(one.call(env))) * factor, MONEY)

    def _method(self, node: Node) -> Typed:
        from pipeline.scenario.expressions.functions import method

        return method(self, node)

    def _call(self, node: Node) -> Typed:
        from pipeline.scenario.expressions.functions import function

        return function(self, node)


def check_choice(node: Node, left: Typed, right: Typed) -> None:
    """Refuse a text that what it is compared with can never be."""
    for typed, other in ((left, node.parts[1]), (right, node.parts[0])):
        if typed.choices and other.kind == "literal" and other.value not in typed.choices:
            near = nearest(str(other.value), typed.choices)
            raise ExpressionError(f"{other.value!r} is none of {', '.join(typed.choices)}{near}", other.offset)


def _field_type(target: Type, node: Node, root: str = "") -> Type:
    name = str(node.value)
    if target.kind == "dyn":
        return DYN
    if target.kind == "map":
        return target.element or DYN
    if target.kind != "object":
        raise ExpressionError(f"a {target} has no field {name!r}", node.offset)
    if name not in target.fields:
        place = f"{root}." if root else ""
        raise ExpressionError(f"unknown field {place}{name}{nearest(name, target.fields, place)}", node.offset)
    return target.fields[name]


def _first(scope: Scope, root: str) -> str:
    return next(iter(scope.roots[root].fields), "field")


def nearest(name: str, known: Any, prefix: str = "") -> str:
    """Return "; did you mean X?" for the nearest right name, or nothing."""
    found = get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix}{found[0]}?" if found else ""


def compile_expression(text: str, scope: Scope, *, condition: bool = False, of_send: bool = False) -> Expr:
    """Compile a text; ExpressionError says what is wrong and where.

    A condition must be a bool; a value under `with` of a send may ask the sender's catalogue.
    """
    tree = parse(text)
    compiler = Compiler(scope, goods=frozenset(results_of(tree)) if of_send else frozenset())
    typed = compiler.compile(tree)
    if condition and typed.type.kind not in {"bool", "dyn"}:
        raise ExpressionError(f"a condition is needed here, this is a {typed.type}", 0)
    call = typed.call
    if typed.type == DATE and not condition:
        # What goes out, or is kept, is text; only comparisons need days.
        call = _iso(call)
    from pipeline.scenario.expressions.terms import terms_of

    changes = compiler.timing.changes()
    return Expr(
        source=text,
        call=call,
        reads=frozenset(compiler.reads),
        changes=changes,
        untimed=compiler.timing.untimed,
        counters=tuple(compiler.counters[key] for key in sorted(compiler.counters)),
        limits=compiler.limited(),
        terms=partial(terms_of, tree, text, scope),
    )


def _iso(call: Call) -> Call:
    def read(env: Env) -> str:
        found: date = call(env)
        return found.isoformat()

    return read
