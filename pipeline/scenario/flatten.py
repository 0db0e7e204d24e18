"""A scenario's nested steps to a flat program: every op names the index that follows it."""

from collections.abc import Sequence
from typing import Any, get_args

from models.scenario import (
    STATES,
    BranchStep,
    ExitStep,
    ScenarioSpec,
    ScoreStep,
    SendStep,
    SetStep,
    SplitStep,
    StartStep,
    Step,
    UntilStep,
    WaitForStep,
    WaitStep,
    Weekday,
)
from pipeline.durations import parse_duration, parse_offset, parse_share, parse_time_of_day
from pipeline.engine.plan import (
    AddScore,
    Alternative,
    Branch,
    Done,
    Exit,
    Op,
    Send,
    SetAttributes,
    Split,
    Start,
    Until,
    Wait,
    WaitFor,
)
from pipeline.scenario.expressions.compile import nearest
from pipeline.scenario.reading import Reader, both

SHARES = 10_000
WEEKDAYS = get_args(Weekday)
Path = tuple[str | int, ...]


class Flattener:
    """Compiles the steps of one scenario, the last first, so that each op knows what follows it."""

    def __init__(self, spec: ScenarioSpec, reader: Reader):
        self.spec = spec
        self.reader = reader
        self.program: list[Op] = []
        self.names: dict[str, Path] = {}
        self.sends: set[str] = set()
        self.starts: list[tuple[str, Path]] = []
        self._about: list[tuple[str, Path]] = []

    def run(self) -> tuple[Op, ...]:
        """Return the program; it begins at index 0."""
        end = self._add(Done())
        first = self._steps(self.spec.steps, ("steps",), end)
        # Indices were given from the end; turn them round, so that the first step stands at 0.
        last = len(self.program) - 1
        turned = [_renumbered(op, last) for op in reversed(self.program)]
        assert first == last, "the first step was compiled last"
        for name, path in self._about:
            if name not in self.sends:
                self.reader.fault(path, f"no send is named {name!r}{nearest(name, sorted(self.sends))}")
        return tuple(turned)

    def _add(self, op: Op) -> int:
        self.program.append(op)
        return len(self.program) - 1

    def _steps(self, steps: Sequence[Step], path: Path, then: int) -> int:
        after = then  # what follows the step that follows
        for index in range(len(steps) - 1, -1, -1):
            step, at = steps[index], (*path, index)
            if isinstance(step, UntilStep):
                found = self._until(step, at, then, after, is_last=index == len(steps) - 1)
            else:
                found = self._step(step, at, then)
            then, after = found, then
        return then

    def _step(self, step: Any, path: Path, then: int) -> int:
        match step:
            case WaitStep():
                return self._wait(step, path, then)
            case WaitForStep():
                return self._wait_for(step, path, then)
            case SendStep():
                return self._send(step, path, then)
            case BranchStep():
                return self._branch(step, path, then)
            case SplitStep():
                return self._split(step, path, then)
            case SetStep():
                return self._set(step, path, then)
            case ScoreStep():
                return self._score(step, path, then)
            case StartStep():
                self.starts.append((step.start, (*path, "start")))
                return self._add(Start(step.start, then))
            case ExitStep():
                return self._add(Exit(step.exit))
        raise AssertionError(f"a step of an unknown kind at {path}")

    def _wait(self, step: WaitStep, path: Path, then: int) -> int:
        if step.restart_on is not None:
            self.reader.event_type(step.restart_on, (*path, "restart_on"))
        at_most = parse_duration(step.at_most) if step.at_most else None
        return self._add(Wait(parse_duration(step.wait), then, step.restart_on, at_most, step.wait))

    def _until(self, step: UntilStep, path: Path, then: int, after: int, *, is_last: bool) -> int:
        said = step.until
        if_past = step.if_past or said.if_past or "go_on"
        if if_past == "skip_next" and is_last:
            self.reader.fault(path, "`if_past: skip_next` leaves out the step that follows, and none does")
        best = said.best_hour
        return self._add(
            Until(
                next=then,
                skip=after,
                if_past=if_past,
                time_ms=parse_time_of_day(said.time) if said.time else None,
                weekdays=tuple(sorted(WEEKDAYS.index(day) for day in said.weekday)),
                day=self.reader.value(said.day, (*path, "until", "day")) if said.day else None,
                offset_ms=parse_offset(said.offset) if said.offset else 0,
                best_of=best.of if best else None,
                within_ms=parse_duration(best.within) if best else 0,
                label=said.day or said.time or "best hour",
            )
        )

    def _wait_for(self, step: WaitForStep, path: Path, then: int) -> int:
        alternatives = []
        for index, one in enumerate(step.wait_for):
            at = (*path, "wait_for", index)
            if one.on is not None:
                self.reader.event_type(one.on, (*at, "on"))
            if one.keep_as is not None and one.on is not None:
                self.reader.name_event(one.keep_as, one.on, (*at, "as"))
            if one.of is not None and one.on not in STATES:
                self._about.append((one.of, (*at, "of")))
            alternatives.append(
                Alternative(
                    goto=self._steps(one.then, (*at, "then"), then),
                    on=one.on,
                    where=both(
                        self.reader.about(one, one.on, at), self.reader.condition(one.where, (*at, "where"), one.on)
                    ),
                    when=self.reader.standing(one.when, (*at, "when")),
                    of=None if one.on in STATES else one.of,
                    keep_as=one.keep_as,
                )
            )
        otherwise = self._steps(step.otherwise, (*path, "otherwise"), then)
        at_most = parse_duration(step.at_most) if step.at_most else None
        label = " | ".join(one.on or one.when or "" for one in step.wait_for)
        return self._add(WaitFor(tuple(alternatives), otherwise, at_most, step.since == "entry", label))

    def _send(self, step: SendStep, path: Path, then: int) -> int:
        self._name(step.send, (*path, "send"))
        self.sends.add(step.send)
        template = step.template or f"{self.spec.scenario}/{step.send}"
        channels = tuple(step.channels) or (step.channel or "email",)
        for channel in channels:
            self.reader.template(template, channel, (*path, "template" if step.template else "send"))
            self.reader.template_values(template, channel, step.send, step.data)
        data = [(name, self.reader.value(text, (*path, "with", name))) for name, text in step.data.items()]
        return self._add(
            Send(
                name=step.send,
                channels=channels,
                template=template,
                purpose=step.purpose or self.spec.purpose,
                next=then,
                data=tuple((name, expression) for name, expression in data if expression is not None),
                valid_for_ms=parse_duration(step.valid_for),
                require=tuple(step.require),
                if_capped=step.if_capped,
                repeat_unknown=step.repeat_unknown,
            )
        )

    def _set(self, step: SetStep, path: Path, then: int) -> int:
        declared = self.reader.settings.attributes
        values = []
        for name, said in step.set.items():
            if name not in declared:
                message = f"the attribute {name!r} is not declared in the settings{nearest(name, declared)}"
                self.reader.fault((*path, "set", name), message)
            text = str(said).lower() if isinstance(said, bool) else str(said)
            value = self.reader.value(text, (*path, "set", name))
            if value is not None:
                values.append((name, value))
        return self._add(SetAttributes(tuple(values), then))

    def _score(self, step: ScoreStep, path: Path, then: int) -> int:
        for name in step.score:
            if name not in self.reader.names.scores:
                near = nearest(name, self.reader.names.scores)
                self.reader.fault((*path, "score", name), f"unknown score {name!r}{near}")
        return self._add(AddScore(tuple(step.score.items()), then))

    def _branch(self, step: BranchStep, path: Path, then: int) -> int:
        arms: list[tuple[Any, int]] = []
        for index, arm in enumerate(step.branch):
            at = (*path, "branch", index)
            if arm.otherwise is not None and index != len(step.branch) - 1:
                self.reader.fault((*at, "otherwise"), "`otherwise` is the last arm: what follows it is never reached")
            name = "then" if arm.otherwise is None else "otherwise"
            goto = self._steps(arm.then if arm.otherwise is None else arm.otherwise, (*at, name), then)
            arms.append((self.reader.condition(arm.when, (*at, "when")), goto))
        return self._add(Branch(tuple(arms), then))

    def _split(self, step: SplitStep, path: Path, then: int) -> int:
        self._name(step.split, (*path, "split"))
        arms = []
        for index, one in enumerate(step.paths):
            goto = self._steps(one.then, (*path, "paths", index, "then"), then)
            arms.append((one.name, parse_share(one.share), goto))
        if sum(share for _, share, _ in arms) != SHARES:
            self.reader.fault((*path, "paths"), "the shares do not sum to 100%")
        return self._add(Split(step.split, tuple(arms)))

    def _name(self, name: str, path: Path) -> None:
        if name in self.names:
            self.reader.fault(path, f"the name {name!r} stands twice: names of sends and splits are unique in a file")
        self.names[name] = path


def _renumbered(op: Op, last: int) -> Op:
    from dataclasses import replace

    match op:
        case Wait() | Send() | Start() | SetAttributes() | AddScore():
            return replace(op, next=last - op.next)
        case Until():
            return replace(op, next=last - op.next, skip=last - op.skip)
        case WaitFor():
            ways = tuple(replace(one, goto=last - one.goto) for one in op.alternatives)
            return replace(op, alternatives=ways, otherwise=last - op.otherwise)
        case Branch():
            return replace(op, arms=tuple((when, last - goto) for when, goto in op.arms), next=last - op.next)
        case Split():
            return replace(op, arms=tuple((name, share, last - goto) for name, share, goto in op.arms))
        case _:
            return op
