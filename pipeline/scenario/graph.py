"""A scenario as a Mermaid flowchart: every way in, step, way on, way out and the goal, in the words of its file.

Whoever is inside may leave at any wait, so the ways out and the goal hang on the frame round the steps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.scenario import (
    AgainAfter,
    AlternativeSpec,
    BranchStep,
    DateSpec,
    EnterSpec,
    ExitSpec,
    ExitStep,
    GoalSpec,
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
)

SHAPES = {
    "entry": ('(["', '"])'), "end": ('(["', '"])'), "wait": ('("', '")'), "send": ('["', '"]'), "step": ('["', '"]'),
    "choice": ('{"', '"}'), "start": ('[["', '"]]'), "goal": ('{{"', '"}}'),
}  # fmt: skip
# What Mermaid would read as markup, or as the end of a label.
ESCAPES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": " "}


@dataclass(frozen=True)
class Tail:
    """A loose end: the node that the next step follows, and what stands on the arrow; `skips` the step in between."""

    node: str
    label: str = ""
    skips: bool = False


def to_mermaid(spec: ScenarioSpec) -> str:
    """Return the flowchart's text."""
    return _Drawing(spec).text()


def escaped(text: str) -> str:
    """Return a text as a label takes it."""
    return "".join(ESCAPES.get(char, char) for char in text.strip())


def entry_label(one: EnterSpec) -> str:
    """Return an entry in words."""
    if isinstance(one.on, str):
        said = [one.on, *_state(one)]
    elif isinstance(one.on, DateSpec):
        said = [one.on.date, "" if one.on.offset == "0d" else one.on.offset, f"at {one.on.time}"]
        said += [f"every {one.on.every}"] if one.on.every else []
    else:
        day = one.on.weekday or (f"day {one.on.day}" if one.on.day else "")
        month = f"month {one.on.month}" if one.on.month else ""
        said = [f"every {one.on.every}", month, day, f"at {one.on.time}"]
    said += [f"when {one.when}"] if one.when else []
    said += [f"unless {one.unless}"] if one.unless else []
    said += [f"per {one.per}"] if one.per else []
    return _sentence([" ".join(part for part in said if part), *_again(one)])


def _again(one: EnterSpec) -> list[str]:
    found = [f"existing: {one.existing}"] if one.existing != "no" else []
    if isinstance(one.again, AgainAfter):
        return [*found, f"again after {one.again.after}"]
    return [*found, f"again: {one.again}"] if one.again else found


def _state(one: EnterSpec | ExitSpec | GoalSpec | AlternativeSpec) -> list[str]:
    """Return what an event is about: a segment, a level, a score, a send."""
    found = [one.segment or "", f"of {one.of}" if one.of else "", one.score or ""]
    return [part for part in (*found, f"at least {one.at_least}" if one.at_least else "") if part]


def _happening(one: ExitSpec | GoalSpec | AlternativeSpec) -> str:
    """Return an event with its condition, or a condition alone."""
    when = getattr(one, "when", None)
    if one.on is None:
        return f"when {when}"
    return " ".join([one.on, *_state(one), *([f"where {one.where}"] if one.where else [])])


def _sentence(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part)


class _Drawing:
    """The nodes and arrows of one scenario, numbered in the order of the file."""

    def __init__(self, spec: ScenarioSpec):
        self.spec = spec
        self.inner: list[str] = []
        self.outer: list[str] = []
        self.count = 0

    def text(self) -> str:
        """Return the whole chart."""
        spec = self.spec
        entries = [self._outside("entry", entry_label(one)) for one in spec.enter]
        tails = self._block(spec.steps, [Tail(name) for name in entries])
        if tails:
            self._arrows(tails, self._node("end", "end"))
        for way in spec.exit:
            self.outer.append(f"inside -.-> {self._outside('end', f'exit: {_happening(way)}')}")
        if spec.goal is not None:
            value = f"value {spec.goal.value}" if spec.goal.value else ""
            goal = _sentence([f"goal: {_happening(spec.goal)}", f"within {spec.goal.within} of the entry", value])
            self.outer.append(f"inside -.- {self._outside('goal', goal)}")
        limit = f"at most {spec.limit.at_most} messages in {spec.limit.per}" if spec.limit else ""
        holdout = f"holdout {spec.holdout}" if spec.holdout else ""
        frame = _sentence([spec.title, spec.purpose, f"priority {spec.priority}", limit, holdout])
        inner = [f"    {line}" for line in self.inner]
        arrows = [f"  {line}" for line in self.outer]
        return "\n".join(["flowchart TD", f'  subgraph inside["{escaped(frame)}"]', *inner, "  end", *arrows]) + "\n"

    def _name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def _outside(self, kind: str, text: str) -> str:
        """Put a node outside the frame; return its name."""
        name = self._name()
        left, right = SHAPES[kind]
        self.outer.append(f"{name}{left}{escaped(text)}{right}")
        return name

    def _node(self, kind: str, text: str) -> str:
        name = self._name()
        left, right = SHAPES[kind]
        self.inner.append(f"{name}{left}{escaped(text)}{right}")
        return name

    def _arrows(self, tails: Sequence[Tail], target: str) -> None:
        for tail in tails:
            label = f'|"{escaped(tail.label)}"|' if tail.label else ""
            self.outer.append(f"{tail.node} -->{label} {target}")

    def _block(self, steps: Sequence[Step], tails: list[Tail]) -> list[Tail]:
        """Draw steps one after the other; return the loose ends of the last."""
        for step in steps:
            passing = [Tail(tail.node, tail.label) for tail in tails if tail.skips]
            tails = self._step(step, [tail for tail in tails if not tail.skips]) + passing
        return tails

    def _step(self, step: Step, tails: list[Tail]) -> list[Tail]:
        match step:
            case WaitForStep():
                return self._wait_for(step, tails)
            case BranchStep():
                return self._branch(step, tails)
            case SplitStep():
                return self._split(step, tails)
            case UntilStep():
                return self._until(step, tails)
        kind, text = _of_step(step)
        node = self._node(kind, text)
        self._arrows(tails, node)
        return [] if isinstance(step, ExitStep) else [Tail(node)]

    def _until(self, step: UntilStep, tails: list[Tail]) -> list[Tail]:
        said = step.until
        if said.best_hour is not None:
            text = f"until the best hour of {said.best_hour.of}, within {said.best_hour.within}"
        else:
            text = " ".join(part for part in ("until", said.day, said.offset, *said.weekday, said.time) if part)
        node = self._node("wait", text)
        self._arrows(tails, node)
        if_past = step.if_past or said.if_past
        if if_past == "exit":
            self._arrows([Tail(node, "past")], self._node("end", "exit: past"))
        return [Tail(node), *([Tail(node, "past", skips=True)] if if_past == "skip_next" else [])]

    def _wait_for(self, step: WaitForStep, tails: list[Tail]) -> list[Tail]:
        node = self._node("wait", "wait for what comes first" + (" since the entry" if step.since else ""))
        self._arrows(tails, node)
        ends = []
        for one in step.wait_for:
            kept = f" as {one.keep_as}" if one.keep_as else ""
            ends += self._block(one.then, [Tail(node, _happening(one) + kept)])
        if step.at_most is not None:
            ends += self._block(step.otherwise, [Tail(node, f"after {step.at_most}")])
        return ends

    def _branch(self, step: BranchStep, tails: list[Tail]) -> list[Tail]:
        node = self._node("choice", "the first that holds")
        self._arrows(tails, node)
        ends = []
        for arm in step.branch:
            if arm.otherwise is None:
                ends += self._block(arm.then, [Tail(node, arm.when or "")])
            else:
                ends += self._block(arm.otherwise, [Tail(node, "otherwise")])
        whole = any(arm.otherwise is not None for arm in step.branch)
        return ends if whole else [*ends, Tail(node, "otherwise")]

    def _split(self, step: SplitStep, tails: list[Tail]) -> list[Tail]:
        node = self._node("choice", f"split {step.split}")
        self._arrows(tails, node)
        return [end for one in step.paths for end in self._block(one.then, [Tail(node, f"{one.name} {one.share}")])]


def _of_step(step: Step) -> tuple[str, str]:
    """Return the shape and the words of a step that leads one way."""
    match step:
        case WaitStep():
            restart = f"begins anew at {step.restart_on}" if step.restart_on else ""
            return "wait", _sentence([f"wait {step.wait}", restart, f"at most {step.at_most}" if step.at_most else ""])
        case SendStep():
            channels = step.channel or " or ".join(step.channels)
            capped = f"if capped {step.if_capped}" if step.if_capped != "skip" else ""
            return "send", _sentence([f"send {step.send} by {channels}", step.purpose or "", *step.require, capped])
        case SetStep():
            return "step", "set " + _sentence(f"{name} = {value}" for name, value in step.set.items())
        case ScoreStep():
            return "step", "score " + _sentence(f"{name} {points:+d}" for name, points in step.score.items())
        case StartStep():
            return "start", f"start {step.start}"
        case ExitStep():
            return "end", f"exit: {step.exit}"
    raise AssertionError(f"a step of an unknown kind: {type(step).__name__}")
