"""A part of an expression, compiled: its closure, its type, and what else the parts around it want to know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.engine.env import Env
from pipeline.scenario.expressions.timing import STILL, Motion
from pipeline.scenario.expressions.types import Type

Call = Callable[[Env], Any]


@dataclass(frozen=True)
class Typed:
    """A closure with its type, and how time moves it.

    `literal` is the exact text of a number, for comparing it with money; `choices` are all that a text can be.
    `fixed` is a value that stands in the text; `probe` names the one read of which this is the score, count or age.
    """

    call: Call
    type: Type
    literal: str | None = None
    motion: Motion = STILL
    choices: tuple[str, ...] = ()
    fixed: Any = None
    probe: str = ""
