"""Walks the nested steps of a scenario as written, each with its path in the file."""

from collections.abc import Iterator, Sequence

from models.scenario import BranchStep, ExitStep, SplitStep, Step, UntilStep, WaitForStep

Path = tuple[str | int, ...]
Block = tuple[Path, Sequence[Step]]


def blocks_of(step: Step, path: Path) -> list[Block]:
    """Return the lists of steps that stand inside a step, each with its path."""
    match step:
        case WaitForStep():
            inner: list[Block] = [
                ((*path, "wait_for", index, "then"), one.then) for index, one in enumerate(step.wait_for)
            ]
            return [*inner, ((*path, "otherwise"), step.otherwise)]
        case BranchStep():
            return [
                ((*path, "branch", index, "then"), arm.then)
                if arm.otherwise is None
                else ((*path, "branch", index, "otherwise"), arm.otherwise)
                for index, arm in enumerate(step.branch)
            ]
        case SplitStep():
            return [((*path, "paths", index, "then"), one.then) for index, one in enumerate(step.paths)]
    return []


def walk(steps: Sequence[Step], path: Path = ("steps",)) -> Iterator[tuple[Path, Step]]:
    """Yield every step with its path, in the order of the file."""
    for index, step in enumerate(steps):
        at = (*path, index)
        yield at, step
        for inner, block in blocks_of(step, at):
            yield from walk(block, inner)


def always_ends(steps: Sequence[Step]) -> bool:
    """Say whether nobody comes out of these steps at their end."""
    return end_of(steps) is not None


def end_of(steps: Sequence[Step]) -> int | None:
    """Return the index of the first step at which everybody ends who comes by; None where somebody comes through."""
    for index, step in enumerate(steps):
        if _ends(step) and not (index and _may_skip(steps[index - 1])):
            return index
    return None


def _may_skip(step: Step) -> bool:
    return isinstance(step, UntilStep) and "skip_next" in {step.if_past, step.until.if_past}


def _ends(step: Step) -> bool:
    match step:
        case ExitStep():
            return True
        case BranchStep():
            whole = any(arm.otherwise is not None for arm in step.branch)
            return whole and all(always_ends(block) for _, block in blocks_of(step, ()))
        case SplitStep():
            return all(always_ends(block) for _, block in blocks_of(step, ()))
        case WaitForStep():
            ways = [one.then for one in step.wait_for] + ([step.otherwise] if step.at_most else [])
            return all(always_ends(block) for block in ways)
    return False
