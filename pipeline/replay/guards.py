"""A traced plan: the same plan, of which each condition also notes what it saw, and the same decisions.

The engine is pure and knows nothing of it: a traced plan is a plan. A condition is wrapped, so that it is noted with
the very state on which it was evaluated, in the middle of a step as well. It serves one customer at a time, in
`explain --deep` and `simulate`; live plans are never traced.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pipeline.engine.env import Env, Expr, Missing, Term
from pipeline.engine.plan import Branch, Enter, ExitRule, Op, Plan, Scenario, Silence, Until, WaitFor, make_plan

NO_VALUE = "no value"


class Value(msgspec.Struct, frozen=True, array_like=True):
    """One term of a condition: its text, its type, and what it was; `missing` where it had no value."""

    text: str
    kind: str
    value: Any
    missing: bool = False


class Guard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One condition as it was evaluated: where it stands, at which `now` (UTC ms), about which event and enrolment.

    `place`: enter, unless, exit, where (of an exit), goal, wait_for, branch, until or silence; `step` and `arm` say
    which. `held` is None where it had no value, of which `missing` says why.
    """

    place: str
    source: str
    now: int
    scenario: str = ""
    step: str = ""
    arm: int = 0
    on: str = ""
    event: str = ""
    enrolment: str = ""
    held: bool | None = None
    missing: str = ""
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    place: str
    scenario: str = ""
    step: str = ""
    arm: int = 0
    on: str = ""


class Tracer:
    """Wraps plans, and keeps what their conditions saw until it is taken; `about` names the events and enrolments.

    None: whatever they are about.
    """

    def __init__(self, about: frozenset[str] | None = None) -> None:
        self._seen: list[Guard] = []
        self._about = about

    def take(self) -> list[Guard]:
        """Return what was noted since the last time, each once."""
        seen, self._seen = self._seen, []
        return list({msgspec.json.encode(one, enc_hook=str): one for one in seen}.values())

    def plan(self, found: Plan) -> Plan:
        """Return a compiled plan with its conditions wrapped."""
        silences = tuple(self._silence(one, number) for number, one in enumerate(found.settings.silences, 1))
        return make_plan(
            found.hash,
            [self._scenario(one) for one in found.scenarios],
            replace(found.settings, silences=silences),
            pinned={key: self._scenario(one) for key, one in found.pinned.items()},
            activated=found.activated,
            choose=found.choose,
            switches=found.switches,
            known=found.known,
        )

    def _silence(self, one: Silence, number: int) -> Silence:
        return replace(one, when=self._required(one.when, _Place("silence", arm=number)))

    def _scenario(self, one: Scenario) -> Scenario:
        entries = tuple(self._enter(enter, one.name) for enter in one.entries)
        exits = tuple(self._exit(rule, one.name) for rule in one.exits)
        program = tuple(self._op(op, one.name) for op in one.program)
        goal = one.goal
        if goal is not None:
            goal = replace(goal, where=self._wrapped(goal.where, _Place("goal", one.name, on=goal.on)))
        return replace(one, entries=entries, exits=exits, program=program, goal=goal)

    def _enter(self, one: Enter, name: str) -> Enter:
        when = self._wrapped(one.when, _Place("enter", name, one.name, on=one.on))
        return replace(one, when=when, unless=self._wrapped(one.unless, _Place("unless", name, one.name, on=one.on)))

    def _exit(self, one: ExitRule, name: str) -> ExitRule:
        where = self._wrapped(one.where, _Place("where", name, on=one.on or ""))
        return replace(one, where=where, when=self._wrapped(one.when, _Place("exit", name)))

    def _op(self, op: Op, name: str) -> Op:
        match op:
            case Branch():
                arms = [
                    (self._wrapped(condition, _Place("branch", name, op.label, number)), goto)
                    for number, (condition, goto) in enumerate(op.arms, 1)
                ]
                return replace(op, arms=tuple(arms))
            case WaitFor():
                ways = []
                for number, way in enumerate(op.alternatives, 1):
                    place = _Place("wait_for", name, op.label, number, way.on or "")
                    where, when = self._wrapped(way.where, place), self._wrapped(way.when, place)
                    ways.append(replace(way, where=where, when=when))
                return replace(op, alternatives=tuple(ways))
            case Until():
                return replace(op, day=self._wrapped(op.day, _Place("until", name, op.label)))
        return op

    def _wrapped(self, one: Expr | None, place: _Place) -> Expr | None:
        return None if one is None else self._required(one, place)

    def _required(self, one: Expr, place: _Place) -> Expr:
        return replace(one, call=self._call(one, one.terms(), place))

    def _call(self, one: Expr, terms: tuple[Term, ...], place: _Place) -> Callable[[Env], Any]:
        def call(env: Env) -> Any:
            try:
                value = one.call(env)
            except Missing as error:
                self._note(one, terms, place, env, None, str(error))
                raise
            self._note(one, terms, place, env, value is True, "")
            return value

        return call

    def _note(
        self, one: Expr, terms: tuple[Term, ...], place: _Place, env: Env, held: bool | None, missing: str
    ) -> None:
        event, enrolment = str((env.event or {}).get("id", "")), env.enrolment.id if env.enrolment is not None else ""
        if self._about is not None and event not in self._about and enrolment not in self._about:
            return
        self._seen.append(
            Guard(
                place=place.place,
                source=one.source,
                now=env.now,
                scenario=place.scenario,
                step=place.step,
                arm=place.arm,
                on=place.on,
                event=event,
                enrolment=enrolment,
                held=held,
                missing=missing,
                values=tuple(_value(term, env) for term in terms),
            )
        )


def looked_at(one: Expr, env: Env, place: str, scenario: str, step: str = "") -> Guard:
    """Return a condition as it stands in a state."""
    try:
        held, missing = one.call(env) is True, ""
    except Missing as error:
        held, missing = None, str(error)
    values = tuple(_value(term, env) for term in one.terms())
    seen = Guard(place=place, source=one.source, now=env.now, scenario=scenario, step=step, held=held, missing=missing)
    return msgspec.structs.replace(seen, values=values)


def _value(term: Term, env: Env) -> Value:
    try:
        found = msgspec.to_builtins(term.call(env), enc_hook=str)
    except Missing:
        return Value(term.text, term.kind, None, True)
    return Value(term.text, term.kind, found)
