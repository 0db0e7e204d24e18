"""Steps that nobody reaches: a plan that has one is refused."""

from collections.abc import Iterator, Sequence

from models.scenario import BranchStep, ScenarioSpec, SplitStep, Step, WaitForStep
from pipeline.scenario.walking import Path, blocks_of, end_of, walk

Finding = tuple[Path, str]


def unreachable(spec: ScenarioSpec) -> Iterator[Finding]:
    """Yield the steps that nobody reaches, with why."""
    yield from _dead_tails(spec.steps, ("steps",))
    for path, step in walk(spec.steps):
        if isinstance(step, WaitForStep) and step.otherwise and step.at_most is None:
            yield (*path, "otherwise"), "never reached: `otherwise` follows a time-out, and there is no `at_most`"
        if isinstance(step, SplitStep):
            for index, one in enumerate(step.paths):
                if float(one.share[:-1]) == 0 and one.then:
                    yield (*path, "paths", index, "then"), f"never reached: the share of {one.name!r} is 0%"
        if isinstance(step, BranchStep):
            yield from _dead_arms(step, path)


def _dead_tails(steps: Sequence[Step], path: Path) -> Iterator[Finding]:
    end = end_of(steps)
    if end is not None and end + 1 < len(steps):
        yield (*path, end + 1), "never reached: whoever comes to the step before it ends there"
    for index, step in enumerate(steps):
        for inner, block in blocks_of(step, (*path, index)):
            yield from _dead_tails(block, inner)


def _dead_arms(step: BranchStep, path: Path) -> Iterator[Finding]:
    for index, arm in enumerate(step.branch[:-1]):
        if arm.when is not None and arm.when.strip() == "true":
            yield (*path, "branch", index + 1), "never reached: the arm before it always holds"
