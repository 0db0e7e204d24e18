"""The deep explanation: the customer's log replayed, which also says why something never matched."""

from collections.abc import Sequence
from pathlib import Path

from models.decision import Decision
from models.ids import partition_of
from pipeline.replay.checkpoints import nearest, of_partitions
from pipeline.replay.errors import LogError
from pipeline.replay.explain import Explainer, event_at
from pipeline.replay.explanation import Explanation, Line
from pipeline.replay.guards import Guard
from pipeline.replay.never import also, never
from pipeline.replay.one import Step, steps_of
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.records import Known, Records, Shelf, known_at, known_of, records_of
from pipeline.replay.shown import moment
from pipeline.runtime.checkpoints import checkpoints_of


def explain(log: RecordedLog, customer: str) -> Explanation:
    """Explain from what was recorded; LogError where nothing was."""
    return Explainer(records_of(log, customer), Shelf(log)).explain()


def beginning_of(log: RecordedLog, customer: str, since: int | None, workers: Sequence[Path] = ()) -> Path | None:
    """Return the checkpoint at which a customer's replay begins: the nearest before a time (UTC ms).

    That of a cluster's log is looked for in workers' data folders. Without a time it is the log's beginning (None), or
    of an embedded run the oldest checkpoint where that is no longer kept. LogError where workers have none so early.
    """
    if log.head is not None:
        if not workers or since is None:
            return None
        partition = partition_of(customer, log.partitions)
        found = of_partitions(workers, log.partitions, since).get(partition)
        if found is None:
            raise LogError(f"no checkpoint of the journal's partition {partition} from before --from in those folders")
        return found
    first = log.first(0)
    if since is not None:
        return nearest(log.path, since)
    kept = [one for one in checkpoints_of(log.path) if one.offset >= first]
    return kept[0].path if first and kept else None


def explain_deep(log: RecordedLog, customer: str, checkpoint: Path | None = None) -> Explanation:
    """Explain by a replay from a checkpoint (else the log's beginning): exact states, every condition's values.

    What was decided before the checkpoint is told from what was recorded.
    """
    records, shelf = records_of(log, customer), Shelf(log)
    steps = list(steps_of(log, customer, checkpoint=checkpoint))
    replayed = [(one, step) for step in steps if step.done is not None for one in step.done.decisions]
    # Either may begin later: the replay at its checkpoint, what was recorded where a topic keeps it for less long.
    first, both = len(records.decisions) - len(replayed), min(len(records.decisions), len(replayed))
    if both and [one for one, _ in replayed[-both:]] != records.decisions[-both:]:
        found = Explainer(records, shelf).explain()
        found.deep = found.differs = True
        return found
    deep = _Deep(records, replayed, first)
    found = Explainer(records, shelf, deep.known, deep.guards).explain()
    found.deep = True
    found.other += [_dead(step, records) for step in steps if step.dead]
    live = steps[-1].plan if steps else None
    if live is not None:
        began = {one.scenario for one in records.decisions if one.outcome == "entered"}
        told = [also(one, steps) if one.name in began else never(one, live, steps, records) for one in live.scenarios]
        found.never = [one for one in told if one is not None]
    return found


def _dead(step: Step, records: Records) -> Line:
    """Return an event that could not be applied: it left the customer as they were."""
    seen = records.event(step.event.id) if step.event is not None else None
    event = event_at(seen) if seen is not None else None
    return Line(at=moment(step.at), outcome="dead_letter", reason=step.dead, event=event)


class _Deep:
    """What the replay knows of each decision, by its number."""

    def __init__(self, records: Records, replayed: list[tuple[Decision, Step]], first: int):
        self._records = records
        self._replayed = replayed
        self._first = first

    def known(self, number: int) -> Known:
        """Return the state after the step of a decision: its profile is the one that the checks saw."""
        at = self._records.decisions[number].at
        if number < self._first:
            return known_at(self._records, at)
        done = self._replayed[number - self._first][1].done
        state = done.customer if done is not None else None
        return known_of(state) if state is not None else known_at(self._records, at)

    def guards(self, number: int) -> tuple[Guard, ...]:
        """Return the conditions that were looked at in the step of a decision."""
        return tuple(self._replayed[number - self._first][1].guards) if number >= self._first else ()
