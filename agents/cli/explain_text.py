"""An explanation as a person reads it in a terminal."""

from collections.abc import Iterator

from pipeline.replay.explanation import Explanation, Line, Never, Passage, SendStep
from pipeline.replay.guards import Guard
from pipeline.replay.shown import guard_text

WORDS = {"not_sent": "not sent", "not_reached": "not sent", "pending": "sent?", "waiting": "waits"}
TOLD_MAX = 20


def explanation_text(found: Explanation) -> str:
    """Return an explanation in lines."""
    return "\n".join(_lines(found))


def _lines(found: Explanation) -> Iterator[str]:
    kept = "" if found.whole else "; what was before is no longer kept"
    yield f"customer {found.customer}, from the log of {found.since} to {found.until}{kept}"
    if found.differs:
        yield "this release decides otherwise (`parcours replay --verify` says where); what follows was recorded"
    for passage in found.passages:
        yield ""
        yield from _passage(passage, found.currency)
    if found.not_entered:
        yield ""
        yield "did not enter"
        yield from _some([line for one in found.not_entered for line in _decision(one, found.currency)])
    if found.repeated:
        yield ""
        yield "read twice, and counted once"
        for one in found.repeated:
            yield f"  {one.type} of {one.at} ({one.source}) stood in the journal before, in message {one.repeats}"
    for line in found.other:
        event = f" {line.event.type} ({line.event.source})" if line.event is not None else ""
        yield f"{line.at} {event} {line.outcome}: {line.reason}".replace("  ", " ")
    if found.never:
        yield ""
        yield "what did not begin"
        for never in found.never:
            yield from _never(never, found.currency)


def _some(lines: list[str]) -> Iterator[str]:
    yield from lines[:TOLD_MAX]
    if len(lines) > TOLD_MAX:
        yield f"  and {len(lines) - TOLD_MAX} more (--json has all)"


def _passage(one: Passage, currency: str) -> Iterator[str]:
    entry = f" by {one.entry.type} ({one.entry.source})" if one.entry is not None else ""
    since = f"entered at {one.entered_at}{entry}" if one.entered_at else "entered before the log that is kept"
    ended = f"; {one.ended}" if one.ended else "; inside"
    yield f"{one.scenario}: {since}{', held out' if one.held_out else ''}{ended}"
    yield f"  version {one.version}, plan {one.plan}"
    for step in one.steps:
        yield from _step(step)
    for line in one.lines:
        if line.guards and line.outcome in {"entered", "branched", "exited", "goal"}:
            yield f"  {line.at}  {line.outcome}{f' {line.step}' if line.step else ''}: {line.reason}"
            yield from _guards(line.guards, currency)


def _step(one: SendStep) -> Iterator[str]:
    at = f" {one.at}" if one.at else ""
    yield f"  {WORDS.get(one.outcome, one.outcome)}{at}  {one.step}: {one.text}"
    yield f"      message {one.command}" + (f", due {one.due_at}" if one.due_at else "")


def _decision(one: Line, currency: str) -> Iterator[str]:
    event = f" {one.event.type} ({one.event.source})" if one.event is not None else ""
    yield f"  {one.at}  {one.scenario}{event}: " + (one.cause.text if one.cause else one.reason)
    yield from _guards(one.guards, currency)


def _guards(guards: tuple[Guard, ...], currency: str) -> Iterator[str]:
    for guard in guards:
        arm = f" {guard.arm}" if guard.arm else ""
        yield f"      {guard.place}{arm}: {guard_text(guard, currency)}"


def _never(one: Never, currency: str) -> Iterator[str]:
    yield f"  {one.scenario}: {one.text}"
    yield from _guards(one.guards, currency)
