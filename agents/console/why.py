"""Why a customer did or did not get a message: for each scenario what stands in the way, and every decision's cause."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from models.customer import NEVER, Customer
from pipeline.engine.plan import Plan, Scenario, Send
from pipeline.engine.rules import Definitions
from pipeline.engine.scores import POINT, value_at
from pipeline.replay.explanation import Explanation, Line, Passage
from pipeline.replay.records import Records

TIMELINE_MAX = 300
# At one moment what was decided stands above the event that led to it: the newest is first.
ORDER = {"event": 0, "decision": 1, "message": 2}


def _ms(at: str | None) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000) if at and at != "never" else 0


def why_not(found: Explanation, plan: Plan | None) -> list[dict[str, Any]]:
    """Return a line for each live scenario: `state` is inside, held_out, ended, sent, kept_out or never."""
    lines = [_about(found, one) for one in (plan.scenarios if plan is not None else ())]
    order = {"inside": 0, "held_out": 1, "ended": 2, "kept_out": 3, "sent": 4, "never": 5}
    return sorted(lines, key=lambda one: (order[one["state"]], -one["at"], one["scenario"]))


def _about(found: Explanation, scenario: Scenario) -> dict[str, Any]:
    said = {"scenario": scenario.name, "title": scenario.title or scenario.name, "step": "", "at": 0, "entries": ()}
    passages = [one for one in found.passages if one.scenario == scenario.name]
    kept_out = [one for one in found.not_entered if one.scenario == scenario.name]
    if passages and (not kept_out or _began(passages[-1]) >= _ms(kept_out[-1].at) or not passages[-1].ended):
        return {**said, **_of_passage(passages[-1])}
    if kept_out:
        last = kept_out[-1]
        return {**said, "state": "kept_out", "at": _ms(last.at), "text": _text(last)}
    entries = tuple(dict.fromkeys(str(one.on) for one in scenario.entries if one.on))
    return {**said, "state": "never", "text": "", "entries": entries}


def _began(one: Passage) -> int:
    return _ms(one.lines[-1].at) if one.lines else 0


def _of_passage(one: Passage) -> dict[str, Any]:
    missed = next((step for step in one.steps if step.outcome != "sent"), None)
    state = "held_out" if one.held_out else "inside" if not one.ended else "sent" if missed is None else "ended"
    if missed is None:
        return {"state": state, "at": _began(one), "text": one.ended}
    return {"state": state, "at": _began(one), "step": missed.step, "text": missed.text}


def _text(line: Line) -> str:
    return line.cause.text if line.cause is not None else line.reason


def timeline(found: Explanation, records: Records, reactions: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Return events, decisions and what became of messages, the newest first, each decision with its cause."""
    rows = [*_events(records), *_decisions(found), *_messages(records, reactions)]
    rows.sort(key=lambda one: (one["at"], ORDER[one["kind"]]), reverse=True)
    return rows[:TIMELINE_MAX]


def _events(records: Records) -> Iterator[dict[str, Any]]:
    for seen in records.events:
        one = seen.event
        source = f"{one.position.source}/{one.position.partition}/{one.position.offset}"
        yield {"kind": "event", "at": one.at, "name": one.type, "data": one.data, "source": source}


def _decisions(found: Explanation) -> Iterator[dict[str, Any]]:
    for passage in found.passages:
        for line in passage.lines:
            why = _text(line) if line.cause else _reason_of(line, passage)
            yield _decided(line, why)
    for line in (*found.not_entered, *found.other):
        yield _decided(line, line.cause.text if line.cause else "")


def _decided(line: Line, why: str) -> dict[str, Any]:
    return {
        "kind": "decision", "at": _ms(line.at), "name": line.outcome, "reason": line.reason,
        "scenario": line.scenario, "step": line.step, "why": why,
    }  # fmt: skip


def _reason_of(line: Line, passage: Passage) -> str:
    """Return what began the passage of a message that was sent: its reason is an event, and where that was read."""
    if line.outcome != "sent":
        return ""
    if passage.entry is not None:
        return f"{passage.entry.type} of {passage.entry.at} ({passage.entry.source})"
    # What the engine derived (a segment entered, a date that came) stands nowhere in the journal.
    began = next((one for one in passage.lines if one.outcome == "entered"), None)
    return f"{began.reason} at {began.at}" if began is not None else ""


def _messages(records: Records, reactions: dict[str, dict[str, int]]) -> Iterator[dict[str, Any]]:
    for one in records.receipts:
        yield {
            "kind": "message", "at": one.at, "name": one.state, "reason": one.reason, "scenario": one.scenario,
            "step": one.step, "channel": one.channel,
        }  # fmt: skip
    named = {one.id: one for one in records.commands}
    for command, times in reactions.items():
        for name, at in times.items():
            if at and command in named:
                sent = named[command]
                yield {
                    "kind": "message", "at": at, "name": name, "reason": "", "scenario": sent.scenario,
                    "step": sent.step, "channel": sent.channel,
                }  # fmt: skip


def scheduled(state: Customer, plan: Plan | None) -> list[dict[str, Any]]:
    """Return what is due next: scenario, the next message in its way, and when at the latest (UTC ms, 0: an event)."""
    found = []
    for one in state.enrolments:
        if one.closing or one.held_out or one.waiting is None:
            continue
        version = plan.versions.get((one.scenario, one.version)) if plan is not None else None
        due = one.waiting.due if one.waiting.due < NEVER else 0
        found.append({"scenario": one.scenario, "step": _next_send(version, one.at_step), "at": due})
    found += [{"scenario": one.scenario, "step": "", "at": one.due} for one in state.tracked.pending]
    return sorted(found, key=lambda one: (not one["at"], one["at"], one["scenario"]))


def _next_send(version: Scenario | None, at: int) -> str:
    """Return the first message after a place, "" where the way divides before one."""
    while version is not None and at < len(version.program):
        op: Any = version.program[at]
        if isinstance(op, Send):
            return op.name
        following = getattr(op, "next", None)
        if following is None or following <= at:
            return ""
        at = following
    return ""


def points(state: Customer, definitions: Definitions, now: int) -> list[tuple[str, int]]:
    """Return the customer's scores in whole points at a log time (UTC ms)."""
    scores = definitions.scores
    kept = [name for name in sorted(state.tracked.scores) if name in scores]
    return [(name, value_at(state.tracked, scores[name], now) // POINT) for name in kept]
