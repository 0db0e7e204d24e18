"""Where an enrolment stands, in words."""

from typing import Any

from models.customer import NEVER, Enrolment
from pipeline.engine.plan import Scenario, Send, Until, Wait, WaitFor
from pipeline.replay.shown import moment, span


def standing(one: Enrolment, version: Scenario | None) -> str:
    """Return where an enrolment stands, and until when."""
    due = f" until {moment(one.waiting.due)}" if one.waiting is not None and one.waiting.due < NEVER else ""
    if one.closing:
        return f"ended; what is out, or the goal, is awaited{due}"
    op: Any = version.program[one.at_step] if version is not None else None
    match op:
        case _ if one.held_out:
            what = "is held out"
        case Wait():
            again = f", anew with each {op.restart_on}" if op.restart_on else ""
            what = f"waits {span(op.for_ms)}{again}"
        case Until():
            what = f"waits until {op.label}: "
        case WaitFor():
            what = f"waits for {op.label}"
        case Send():
            what = f"waits to send {op.name}"
        case _:
            what = "stands"
    return f"{what.rstrip(': ')}{due}"
