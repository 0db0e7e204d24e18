"""What the pages show, kept up to date by reading the streams on from where it stopped."""

import threading
from collections import Counter, defaultdict, deque
from typing import Any

import msgspec

from agents import metrics
from agents.console.graph import kind_of
from models.receipt import FINAL
from pipeline.engine.plan import Exit, Plan, Scenario, Send
from pipeline.runtime.folder import Folder
from pipeline.runtime.ledger import CommandCounts
from pipeline.runtime.reading import DataFolder, command_view, iso

RECENT = 100
# Ends of commands are kept for those on the page of the last messages, and for many more that may settle late.
ENDS_KEPT = 10_000


class ConsoleModel:
    """Counts by scenario and step, and the last messages."""

    def __init__(self, folder: Folder):
        self.folder = folder
        self._next = {"decisions": 0, "receipts": 0, "delivery": 0}
        self.counts: defaultdict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
        self.ends: Counter[str] = Counter()
        self.last: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self.state: dict[str, str] = {}
        self._counted = CommandCounts()
        # Pages are answered by several threads: each record is to be counted once.
        self._lock = threading.Lock()

    def reader(self) -> DataFolder:
        """Return a reader of the folder as it is now."""
        return DataFolder(self.folder)

    def _new(self, stream: str) -> list[Any]:
        found = []
        for offset, raw in self.folder.scan(stream, self._next[stream]):
            found.append(msgspec.json.decode(raw))
            self._next[stream] = offset + 1
        return found

    def refresh(self) -> None:
        """Read on."""
        with self._lock:
            self._read_on()

    def ledger(self) -> dict[str, Any]:
        """Return what went in and what became of it."""
        with self._lock:
            return self.reader().ledger(self._counted)

    def _read_on(self) -> None:
        """Take in what is new, and count it for /metrics: in one process nobody else does."""
        decisions, delivery, receipts = self._new("decisions"), self._new("delivery"), self._new("receipts")
        commands = [one for one in delivery if one["kind"] == "command"]
        for one in decisions:
            key = (one["outcome"], one.get("step", ""), one["reason"])
            self.counts[one.get("scenario", "")][key] += 1
        self.last.extendleft(command_view(one) for one in commands)
        self._take_receipts(receipts)
        metrics.count_records(
            ((one["scenario"], one["channel"]) for one in commands),
            ((one.get("scenario", ""), one["outcome"]) for one in decisions),
        )

    def _take_receipts(self, receipts: list[dict[str, Any]]) -> None:
        for (channel, state), count in Counter((one["channel"], one["state"]) for one in receipts).items():
            metrics.RECEIPTS.labels(channel, state).inc(count)
        for one in receipts:
            if one["state"] in FINAL:
                self.ends[one["state"]] += 1
                self.state[one["command"]] = one["state"]
                if len(self.state) > ENDS_KEPT:
                    del self.state[next(iter(self.state))]

    def scenarios(self) -> list[dict[str, Any]]:
        """Return each scenario with its steps and counts."""
        plan: Plan | None = self.reader().plan()
        return [scenario_view(one, self.counts[one.name]) for one in plan.scenarios] if plan else []

    def watermark(self) -> str | None:
        """Return the watermark in ISO 8601."""
        return iso(self.reader().watermark() or None)


def scenario_view(scenario: Scenario, counts: Counter[tuple[str, str, str]]) -> dict[str, Any]:
    """Return a scenario with its steps and counts."""
    outcomes: Counter[str] = Counter()
    for (outcome, _, _), count in counts.items():
        outcomes[outcome] += count
    left = Counter({reason: count for (outcome, _, reason), count in counts.items() if outcome == "exited"})
    kept_out = {reason: count for (outcome, _, reason), count in counts.items() if outcome == "not_entered"}
    inside = outcomes["entered"] - outcomes["exited"] - outcomes["completed"] - outcomes["dropped"]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "purpose": scenario.purpose,
        "outcomes": outcomes,
        "inside": max(inside, 0),
        "left": left.most_common(6),
        "kept_out": sorted(kept_out.items(), key=lambda pair: -pair[1]),
        "steps": [_step(op, counts) for op in scenario.program if not isinstance(op, Exit)][:-1],
    }


def _step(op: Any, counts: Counter[tuple[str, str, str]]) -> dict[str, Any]:
    kind, label, name = kind_of(op)
    if not isinstance(op, Send):
        return {"kind": kind, "label": label, "count": None, "suppressed": []}
    sent = sum(n for (out, step, _), n in counts.items() if out == "sent" and step == name)
    held = [(reason, n) for (out, step, reason), n in counts.items() if out == "suppressed" and step == name]
    return {"kind": kind, "label": label, "count": sent, "suppressed": sorted(held)}
