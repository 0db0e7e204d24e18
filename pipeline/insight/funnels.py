"""Funnels: how many customers take the steps in order, within a time from the first.

An attempt begins with the first step where none is open; it is over when its last step is taken or its time has passed
(the first step then begins another). It counts for the day, segment, device and channel of its first step.
"""

from collections import defaultdict

from models.event import Event
from pipeline.insight.definitions import Definitions, Funnel
from pipeline.insight.segments import counted_for
from pipeline.insight.visitor import Attempt, Visitor, text_of

# funnel, day, step (its number, from 1), segment, device, channel
Stage = tuple[str, str, int, str, str, str]


class FunnelDeltas:
    """What a batch adds: stages -> attempts that reached them; the attempts that moved, by id."""

    def __init__(self) -> None:
        self.stages: defaultdict[Stage, int] = defaultdict(int)
        self.attempts: dict[str, tuple[str, str, Attempt]] = {}  # id -> funnel, customer, attempt


def walk(
    visitor: Visitor, event: Event, day: str, definitions: Definitions, out: FunnelDeltas, segments: str = ""
) -> None:
    """Move a customer on in every funnel that an event belongs to."""
    if event.type not in definitions.funnel_types:
        return
    for funnel in definitions.funnels:
        attempt = _moved(visitor, event, day, funnel, definitions, segments)
        if attempt is None:
            continue
        visitor.attempts[funnel.name] = attempt
        for segment in counted_for(attempt.segment):
            out.stages[(funnel.name, attempt.day, attempt.reached, segment, attempt.device, attempt.channel)] += 1
        out.attempts[attempt.id] = (funnel.name, event.customer, attempt)


def _moved(
    visitor: Visitor, event: Event, day: str, funnel: Funnel, definitions: Definitions, segments: str
) -> Attempt | None:
    attempt = visitor.attempts.get(funnel.name)
    is_open = (
        attempt is not None
        and attempt.reached < len(funnel.steps)
        and attempt.at <= event.at <= attempt.at + funnel.within_ms
    )
    if attempt is not None and event.at < attempt.at:
        return None
    if attempt is not None and is_open:
        if not funnel.steps[attempt.reached].matches(event, definitions.settings):
            return None
        attempt.reached += 1
        return attempt
    if not funnel.steps[0].matches(event, definitions.settings):
        return None
    device, channel = text_of(event.data, "device"), text_of(event.data, "channel")
    name = f"{funnel.name}/{event.id}"
    return Attempt(name, event.at, day, 1, device, channel, segments)


def stage_rows(deltas: FunnelDeltas) -> list[tuple[str, str, int, str, str, str, int]]:
    """Return day, funnel, step, segment, device, channel and how many more reached it."""
    return [
        (day, funnel, step, segment, device, channel, count)
        for (funnel, day, step, segment, device, channel), count in deltas.stages.items()
    ]


def attempt_rows(deltas: FunnelDeltas) -> list[tuple[str, str, str, int, str, int, str, str, str]]:
    """Return id, funnel, customer, at, day, reached, segment, device and channel of the attempts that moved."""
    return [
        (one.id, funnel, customer, one.at, one.day, one.reached, one.segment, one.device, one.channel)
        for funnel, customer, one in deltas.attempts.values()
    ]
