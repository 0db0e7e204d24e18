"""Compiles the expressions of one scenario file, and notes what each reads and where each fault stands."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from liquid import Environment

from models.scenario import STATES, StateSpec
from models.settings import SettingsSpec
from pipeline.engine.env import Counter, Expr, Term
from pipeline.engine.plan import START
from pipeline.engine.rules import Threshold
from pipeline.errors import Problem
from pipeline.mjml import MjmlError, to_html
from pipeline.scenario.expressions.compile import compile_expression, nearest
from pipeline.scenario.expressions.parse import ExpressionError
from pipeline.scenario.expressions.types import Type
from pipeline.scenario.scope import base_roots, event_types, names_of, scope_with, union
from pipeline.scenario.template_values import TemplateValues
from pipeline.scenario.templates import fault_of, missing
from pipeline.templating import environment, split_head
from pipeline.yaml_places import Places

Path = tuple[str | int, ...]


def untimed(condition: Expr) -> str:
    """Return the fault of a condition of which nobody can say when time changes it."""
    return f"nobody can say when {condition.untimed} changes this: compare it with a duration, time or number"


def both(one: Expr | None, other: Expr | None) -> Expr | None:
    """Return the condition that two hold; None for none."""
    if one is None or other is None:
        return one or other
    first, second = one.call, other.call
    reads = one.reads | other.reads

    def terms() -> tuple[Term, ...]:
        return (*one.terms(), *other.terms())

    return Expr(other.source, lambda env: first(env) is True and second(env) is True, reads, other.changes, terms=terms)


class Reader:
    """The expressions of one file: compiled in their scope, faults collected, fields that they read noted."""

    def __init__(self, settings: SettingsSpec, places: Places, templates: Mapping[str, str], entries: list[str]):
        self.settings = settings
        self.places = places
        self.templates = templates
        self.problems: list[Problem] = []
        self.types = event_types(settings)
        self.roots = base_roots(settings)
        self.entry = union(self.types[name] for name in entries if name in self.types)
        self.named: dict[str, Type] = {}
        names = [
            one.rpartition("/")[0].rpartition("/")[2] for one in sorted(templates) if one.endswith("scenario.yaml")
        ]
        self.names = names_of(settings, names, places.file.rpartition("/")[0].rpartition("/")[2])
        self.uses: set[str] = set()
        self.counters: dict[str, Counter] = {}
        self.thresholds: dict[str, Threshold] = {}
        self.entry_fields: set[str] = set()
        self.event_fields: dict[str, set[str]] = {}
        self._looked_at: dict[str, str | None] = {}

    @cached_property
    def liquid(self) -> Environment:
        """The environment that templates are rendered in, without their files."""
        return environment({}, self.settings.store.currency, self.settings.timezone, autoescape=False)

    @cached_property
    def _values(self) -> TemplateValues:
        liquid = environment({}, self.settings.store.currency, self.settings.timezone, autoescape=False)
        return TemplateValues(self.templates, liquid)

    @cached_property
    def _bodies(self) -> dict[str, str]:
        return {name: split_head(text)[1] for name, text in self.templates.items() if name.endswith(".mjml")}

    def fault(self, path: Path, message: str, offset: int = 0) -> None:
        """Note a fault at a place."""
        self.problems.append(self.places.problem(path, message, offset=offset))

    def event_type(self, name: str, path: Path) -> None:
        """Note that the scenario looks at events of a type; a type that nobody knows is a fault."""
        if name not in self.types:
            self.fault(path, f"unknown event {name!r}{nearest(name, self.types)}")
        self.event_fields.setdefault(name, set())
        if name.startswith("message_"):
            self.event_fields[name].add("command_id")

    def name_event(self, name: str, event: str, path: Path) -> None:
        """Let later expressions name an event kept by `as`, and keep all its fields."""
        if name in self.roots or name in {"event", "entry", "now"} or name in self.named:
            self.fault(path, f"the name {name!r} is taken")
        kind = self.types.get(event, Type("object"))
        self.named[name] = kind
        self.event_fields.setdefault(event, set()).update(kind.fields)

    def condition(self, text: str | None, path: Path, event: str | None = None) -> Expr | None:
        """Compile a condition; None for none."""
        return None if text is None else self._compile(text, path, event, condition=True)

    def standing(self, text: str | None, path: Path) -> Expr | None:
        """Compile a condition under which somebody waits: it is to be known when time changes it."""
        found = self.condition(text, path)
        if found is not None and found.untimed:
            self.fault(path, untimed(found))
        return found

    def value(self, text: str, path: Path, event: str | None = None) -> Expr | None:
        """Compile an expression of any type; None where it is refused."""
        return self._compile(text, path, event, condition=False)

    def _compile(self, text: str, path: Path, event: str | None, *, condition: bool) -> Expr | None:
        more = {**self.named, "entry": self.entry}
        if event is not None and event in self.types:
            more["event"] = self.types[event]
        elif event == START:
            more["event"] = self.entry  # the event at hand is that which began the scenario that starts this one
        try:
            compiled = compile_expression(
                text,
                scope_with(self.settings, self.roots, self.names, **more),
                condition=condition,
                of_send=path[-2:-1] == ("with",),
            )
        except ExpressionError as error:
            meant = self.places.cut_at_comment(path)
            hint = f"; YAML cut it at the #: quote it, {meant}" if meant else ""
            self.fault(path, f"{error.message}{hint}", error.offset)
            return None
        if "voucher" in compiled.reads and path[-2:-1] != ("with",):
            self.fault(path, "voucher() stands under `with` of a send: a message names it")
        self._note(compiled, event, entering=path[:1] == ("enter",))
        return compiled

    def about(self, spec: StateSpec, on: str | None, path: Path) -> Expr | None:
        """Return the condition that an event is about the segment, level or score that is named; None for others."""
        if on not in STATES:
            return None
        if on == "score_reached":
            name = f"{spec.score}>={spec.at_least}"
            self.thresholds[name] = Threshold(name, spec.score or "", spec.at_least or 0)
            known: Iterable[str] = self.names.scores
            kind, said = "score", spec.score
            text = f'event.score == "{spec.score}" && event.at_least == {spec.at_least}'
        elif on.startswith("level_"):
            known, kind, said = self.names.levels, "level", spec.of
            text = f'event.of == "{spec.of}"'
        else:
            known, kind, said = self.names.segments, "segment", spec.segment
            text = f'event.segment == "{spec.segment}"'
        if said is None or said not in known:
            field = "of" if kind == "level" else kind
            self.fault((*path, field), f"unknown {kind} {said!r}{nearest(str(said), known)}")
            return None
        self.uses.add(f"{kind}.{said}")
        return self._compile(text, path, on, condition=True)

    def _note(self, compiled: Expr, event: str | None, *, entering: bool) -> None:
        self.uses |= compiled.reads
        self.counters |= {counter.key: counter for counter in compiled.counters}
        for read in compiled.reads:
            root, _, name = read.partition(".")
            if root == "entry" or (root == "event" and event == START):
                self.entry_fields.add(name)
            elif root == "event" and event is not None and not entering:
                # An entry looks at its event as it comes; what exits, goals and waits name is looked back at.
                self.event_fields.setdefault(event, set()).add(name)

    def template(self, name: str, channel: str, path: Path) -> None:
        """Check that a template has what a channel needs, in the store's language or English, and can be read."""
        languages = tuple(dict.fromkeys((self.settings.language, "en")))
        wanted = missing(self.templates, name, channel, languages)
        if wanted is not None:
            have = [one for one in self.templates if one.endswith((".mjml", ".html", ".txt", ".json"))]
            self.fault(path, f"the template {wanted} is missing{nearest(wanted, have)}")
        for file in sorted(self.templates):
            if file.startswith(f"{name}.") and file not in self._looked_at:
                self._looked_at[file] = fault_of(file, self.templates[file], self.liquid) or self._mjml_fault(file)
                fault = self._looked_at[file]
                if fault is not None:
                    self.fault(path, fault)

    def template_values(self, template: str, channel: str, step: str, provided: Mapping[str, str]) -> None:
        """Check that a template uses no name that nothing provides."""
        self.problems += self._values.unprovided(template, channel, step, provided)

    def _mjml_fault(self, file: str) -> str | None:
        if not file.endswith(".mjml"):
            return None
        try:
            to_html(file, self._bodies)
        except MjmlError as error:
            return str(error)
        return None
