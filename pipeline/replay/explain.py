"""Explain: why each message to one customer was or was not sent, from what was recorded at the time.

A passage is one enrolment, with each step that its version of the scenario sends: what became of it, and why. What let
nobody in stands beside the passages, and so do events that were read twice.
"""

from collections.abc import Callable

from models.decision import Decision
from pipeline.engine.plan import Scenario
from pipeline.replay.case import Case, place_of
from pipeline.replay.causes import cause_of
from pipeline.replay.errors import LogError
from pipeline.replay.explanation import EventAt, Explanation, Line, Passage
from pipeline.replay.guards import Guard
from pipeline.replay.records import Known, Records, Seen, Shelf, known_at
from pipeline.replay.sends import ENDS, Told
from pipeline.replay.shown import moment
from pipeline.replay.standing import standing

KnownAt = Callable[[int], Known]
GuardsAt = Callable[[int], tuple[Guard, ...]]


class Explainer:
    """Puts an explanation together; a replay gives it the exact states and the guards by number of decision."""

    def __init__(
        self, records: Records, shelf: Shelf, known: KnownAt | None = None, guards: GuardsAt = lambda number: ()
    ):
        self.records = records
        self.shelf = shelf
        self._known = known or (lambda number: known_at(records, records.decisions[number].at))
        self._guards = guards

    def explain(self) -> Explanation:
        """Return the explanation of everything; LogError where the log holds nothing of the customer."""
        records = self.records
        if records.nothing:
            raise LogError(_nothing(records))
        found = Explanation(
            customer=records.customer,
            since=moment(records.begins) if records.begins is not None else None,
            until=moment(records.ends) if records.ends is not None else None,
            whole=records.whole,
        )
        live = self.shelf.live_at(records, records.ends or 0)
        if live is not None:
            found.currency = live.settings.currency
        by_passage: dict[str, list[int]] = {}
        for number, one in enumerate(records.decisions):
            if one.outcome == "not_entered":
                found.not_entered.append(self._line(number))
            elif one.enrolment:
                by_passage.setdefault(one.enrolment, []).append(number)
            else:
                found.other.append(self._line(number))
        found.passages = [self._passage(numbers) for numbers in by_passage.values()]
        found.repeated = [event_at(one) for one in records.events if one.repeats is not None]
        return found

    def _event(self, name: str) -> EventAt | None:
        seen = self.records.event(name)
        return event_at(seen) if seen is not None else None

    def _case(self, number: int) -> Case:
        one = self.records.decisions[number]
        plan = self.shelf.live_at(self.records, one.at)
        scenario = self.shelf.scenario(self.records, one.scenario, one.version) if one.version else None
        return Case(one, lambda: self._known(number), self.records, plan, scenario)

    def _line(self, number: int) -> Line:
        one = self.records.decisions[number]
        return Line(
            at=moment(one.at),
            outcome=one.outcome,
            reason=one.reason,
            scenario=one.scenario,
            step=one.step,
            event=self._event(one.event) if one.event else None,
            cause=cause_of(self._case(number)),
            guards=tuple(guard for guard in self._guards(number) if _about(guard, one)),
        )

    def _passage(self, numbers: list[int]) -> Passage:
        decisions = [self.records.decisions[number] for number in numbers]
        first, last = decisions[0], decisions[-1]
        entered = next((one for one in decisions if one.outcome == "entered"), None)
        scenario = self.shelf.scenario(self.records, last.scenario, last.version)
        lines = [self._line(number) for number in numbers]
        plan = self.shelf.live_at(self.records, first.at)
        # Erasure ends everything at once: its one decision names no passage.
        decided = self.records.decisions[numbers[-1] :]
        erased = next((one for one in decided if (one.outcome, one.reason) == ("dropped", "erasure")), None)
        told = Told(self.records, decisions, lines, entered, erased, self._stands(last.enrolment, scenario))
        ended = next((one for one in [*decisions, erased] if one is not None and one.outcome in ENDS), None)
        return Passage(
            scenario=last.scenario,
            version=last.version,
            enrolment=last.enrolment,
            plan=plan.hash if plan is not None else "",
            entered_at=moment(entered.at) if entered is not None else None,
            entry=self._event(entered.event) if entered is not None else None,
            held_out=entered is not None and entered.reason == "held_out",
            ended=f"{ended.outcome}: {ended.reason}" if ended is not None else "",
            steps=tuple(told.steps(scenario)),
            lines=tuple(lines),
        )

    def _stands(self, enrolment: str, scenario: Scenario | None) -> str:
        state = self.records.state
        found = [one for one in (state.enrolments if state is not None else ()) if one.id == enrolment]
        return standing(found[0], scenario) if found else ""


def event_at(seen: Seen) -> EventAt:
    """Return an event as an explanation names it."""
    one = seen.event
    return EventAt(
        id=one.id,
        type=one.type,
        at=moment(one.at),
        arrived_at=moment(one.arrived_at),
        source=place_of(one),
        journal=seen.offset,
        repeats=seen.repeats,
    )


def _about(guard: Guard, one: Decision) -> bool:
    """Say whether a condition belongs to a decision: of its enrolment, or of its scenario's entries."""
    if guard.scenario != one.scenario:
        return False
    if one.outcome in {"entered", "not_entered"}:
        return guard.place in {"enter", "unless"} or one.reason in {"exit_holds", "overtaken"}
    if one.outcome == "branched":
        return guard.place in {"branch", "until"} and guard.step == one.step and guard.enrolment == one.enrolment
    return (
        one.outcome in {"exited", "goal", "suppressed"} and guard.enrolment == one.enrolment and guard.held is not False
    )


def _nothing(records: Records) -> str:
    since = f"; it begins at {moment(records.begins)}" if records.begins is not None else ""
    gone = "" if records.whole else ": what was before is no longer kept, and nothing can be said of it"
    return f"the log that is kept holds nothing of customer {records.customer!r}{since}{gone}"
