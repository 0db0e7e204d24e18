"""The segments, levels, scores and silences of `settings.yaml`, compiled: what each reads, and in which order."""

from collections.abc import Mapping

from models.settings import SettingsSpec
from pipeline.durations import parse_duration
from pipeline.engine.env import Counter, Expr
from pipeline.engine.plan import Silence
from pipeline.engine.rules import Definitions, Level, ScoreRule, Segment, key_of, reads_of
from pipeline.engine.scores import POINT
from pipeline.errors import Problem
from pipeline.scenario.expressions.compile import compile_expression, nearest
from pipeline.scenario.expressions.parse import ExpressionError
from pipeline.scenario.reading import untimed
from pipeline.scenario.scope import base_roots, names_of, scope_with
from pipeline.scenario.shipped_levels import levels_of, scores_of
from pipeline.yaml_places import Places

Path = tuple[str | int, ...]
# A state is looked at when an event or time may have changed it; these change by what scenarios do.
STEERED = ("inside", "sent")


class States:
    """Compiles what the settings say of states; `problems` has every fault with its place."""

    def __init__(self, settings: SettingsSpec, places: Places):
        self.settings = settings
        self.places = places
        self.names = names_of(settings)
        self.scope = scope_with(settings, base_roots(settings), self.names)
        self.problems: list[Problem] = []
        self.counters: dict[str, Counter] = {}

    def definitions(self) -> Definitions:
        """Return segments and levels, each after those that it reads, and scores."""
        found: dict[str, Segment | Level] = {}
        for name, text in self.settings.segments.items():
            when = self._condition(text, ("segments", name))
            found[f"segment.{name}"] = Segment(name, when)
        for name, arms in levels_of(self.settings).items():
            steps = [(step, text, index) for index, arm in enumerate(arms) for step, text in arm.items()]
            self._check_steps(name, [step for step, _, _ in steps])
            compiled = tuple(
                (step, self._condition(_text(text), ("levels", name, index, step))) for step, text, index in steps
            )
            found[f"level.{name}"] = Level(name, compiled)
        return Definitions(self._ordered(found), self._scores(), tuple(self.counters.values()))

    def watched(self) -> tuple[str, ...]:
        """Return the segments and levels that the console counts, as expressions name them."""
        found = []
        for index, name in enumerate(self.settings.watch):
            kinds = [f"segment.{name}"] * (name in self.names.segments) + [f"level.{name}"] * (
                name in self.names.levels
            )
            if not kinds:
                known = [*self.names.segments, *self.names.levels]
                message = f"unknown segment or level {name!r}{nearest(name, known)}"
                self.problems.append(self.places.problem(("watch", index), message))
            found += kinds
        return tuple(found)

    def silences(self) -> tuple[Silence, ...]:
        """Return the silences in their order."""
        return tuple(
            Silence(self._condition(spec.when, ("silence", index, "when"), timed=False), spec.purpose, spec.channel)
            for index, spec in enumerate(self.settings.silence)
        )

    def _condition(self, text: str, path: Path, *, timed: bool = True) -> Expr:
        try:
            compiled = compile_expression(text, self.scope, condition=True)
        except ExpressionError as error:
            self.problems.append(self.places.problem(path, error.message, offset=error.offset))
            return Expr(text, lambda env: False)
        self.counters |= {counter.key: counter for counter in compiled.counters}
        if timed and compiled.untimed:
            self.problems.append(self.places.problem(path, untimed(compiled)))
        for read in sorted(compiled.reads):
            if timed and read.partition(".")[0] in STEERED:
                message = "a segment or level reads the customer, not what scenarios do: use it in the scenario"
                self.problems.append(self.places.problem(path, message))
        return compiled

    def _check_steps(self, level: str, steps: list[str]) -> None:
        for index, step in enumerate(steps):
            if step in steps[:index]:
                message = f"the step {step!r} stands twice in the level {level!r}"
                self.problems.append(self.places.problem(("levels", level, index), message))

    def _scores(self) -> Mapping[str, ScoreRule]:
        found = {}
        for name, spec in scores_of(self.settings).items():
            for kind in spec.events:
                if kind not in self.names.events:
                    message = f"unknown event {kind!r}{nearest(kind, self.names.events)}"
                    self.problems.append(self.places.problem(("scores", name, "events", kind), message, key=True))
            points = {kind: number * POINT for kind, number in spec.events.items()}
            found[name] = ScoreRule(name, points, parse_duration(spec.half_life) if spec.half_life else None)
        return found

    def _ordered(self, found: Mapping[str, Segment | Level]) -> tuple[Segment | Level, ...]:
        """Return the rules, each after those that it reads; a circle is a fault."""
        done: dict[str, Segment | Level] = {}

        def visit(key: str, above: tuple[str, ...]) -> None:
            if key in done or key not in found:
                return
            if key in above:
                kind, _, name = key.partition(".")
                way = " reads ".join([*above[above.index(key) :], key])
                self.problems.append(self.places.problem((f"{kind}s", name), f"a circle: {way}"))
                return
            for read in reads_of(found[key]):
                visit(read, (*above, key))
            done[key] = found[key]

        for key in found:
            visit(key, ())
        assert all(key_of(rule) == key for key, rule in done.items())
        return tuple(done.values())


def _text(said: str | bool) -> str:
    return said if isinstance(said, str) else str(said).lower()
