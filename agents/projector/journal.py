"""Folds the journal: events by customer, the journey map, funnels, attribution, and what became of messages."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from agents.projector.batch import Record, Sums, read
from agents.projector.schema import commands as commands_table
from models.event import Event
from models.identity import LINKED
from models.journal import PlanActivated, ScenarioSwitched, SourceChanged, Tick
from models.progress import SourceProgress
from pipeline.insight.attribution import OrderDeltas, credit
from pipeline.insight.definitions import Definitions
from pipeline.insight.funnels import FunnelDeltas, walk
from pipeline.insight.journey import MapDeltas, carry, touch
from pipeline.insight.visitor import Visitor, decode_visitor, encode_visitor
from pipeline.journal.codec import decode
from pipeline.journal.watermark import SourceTable

RECENT = 32
DATA_CHARS_MAX = 4_000
_json = msgspec.json.Encoder().encode
_rows = msgspec.json.Decoder(tuple[tuple[SourceProgress, ...], int, int])

OPENED, CLICKED = (list(commands_table.columns.keys()).index(name) for name in ("opened_at", "clicked_at"))
FEEDBACK = {"message_opened": "opened", "message_clicked": "clicked"}


class SourceTables:
    """The sources of every journal partition, as the engine sees them: a duplicate filter, and their watermark."""

    def __init__(self) -> None:
        self._tables: dict[int, SourceTable] = {}

    def load(self, partition: int, raw: bytes | None) -> None:
        """Take a partition's table as it was stored."""
        self._tables[partition] = SourceTable(*_rows.decode(raw)) if raw else SourceTable()

    def of(self, partition: int) -> SourceTable:
        """Return a partition's table."""
        return self._tables.setdefault(partition, SourceTable())

    def encoded(self, partition: int) -> bytes:
        """Return a partition's table as it is stored."""
        table = self.of(partition)
        return _json((table.rows(), table.watermark, table.applied_until))


def _link(visitor: Visitor, known: str) -> None:
    """A visitor becomes an alias once; with a second known customer it is a shared device, and counts for itself."""
    if visitor.shared or known == visitor.alias_of:
        return
    visitor.shared = visitor.alias_of != ""
    visitor.alias_of = "" if visitor.shared else known


class JournalFold:
    """The journal messages of one batch."""

    def __init__(
        self,
        tables: SourceTables,
        definitions: Callable[[str], Definitions],
        segments: Callable[[str], str] = lambda customer: "",
    ):
        self._tables = tables
        self._segments = segments
        self._definitions = definitions
        self._found: list[tuple[Record, int, Event | PlanActivated]] = []
        self.partitions: set[int] = set()
        self.events: list[tuple[Any, ...]] = []
        self.map = MapDeltas()
        self.funnels = FunnelDeltas()
        self.orders = OrderDeltas()
        self.counts = Sums()
        self.touched: dict[str, list[int]] = {}  # command -> opened_at, clicked_at
        self.plans: dict[int, str] = {}
        self.controls: dict[str, tuple[Any, ...]] = {}  # by id: every partition of the journal has each
        self.erased: list[str] = []
        self._visitors: dict[str, Visitor] = {}

    def read(self, records: Iterable[Record]) -> None:
        """Take messages of the journal; what the engine would take twice is left out."""
        for record in records:
            bundle = read(record, decode)
            if bundle is None:
                continue
            table = self._tables.of(record.partition)
            self.partitions.add(record.partition)
            for number, entry in enumerate(bundle.entries):
                if isinstance(entry, Event):
                    if table.accept(entry.position):
                        self._found.append((record, number, entry))
                elif isinstance(entry, Tick):
                    table.tick(entry)
                elif isinstance(entry, SourceChanged):
                    table.change(entry)
                elif isinstance(entry, ScenarioSwitched):
                    self.controls[entry.id] = (entry.id, "switch", "", entry.scenario, entry.state, entry.at)
                elif isinstance(entry, PlanActivated):
                    self.controls[entry.id] = (entry.id, "plan", entry.plan, "", "", entry.at)
                    self._found.append((record, number, entry))

    def names(self) -> set[str]:
        """Return the customers that are spoken of: their visitors are wanted before `fold`."""
        return {one.customer for _, _, one in self._found if isinstance(one, Event)}

    def commands(self) -> set[str]:
        """Return the commands that were opened or clicked: their rows are wanted before `fold`."""
        return {
            str(one.data.get("command_id"))
            for _, _, one in self._found
            if isinstance(one, Event) and one.type in FEEDBACK and one.data.get("command_id")
        }

    def fold(
        self, known: dict[str, Any], commands: dict[str, Any], plan: Callable[[int], str], day: Callable[[str], Any]
    ) -> None:
        """Fold what was read over the visitors and commands that are known, under each partition's live plan."""
        self._known, self._commands = known, commands
        for record, number, one in self._found:
            if isinstance(one, PlanActivated):
                self.plans[record.partition] = one.plan
                continue
            if one.type == "erasure_requested":
                self._forget(one.customer)
                continue
            live = self.plans.get(record.partition) or plan(record.partition)
            self._event(record, number, one, self._definitions(live), day(live)(one.at))

    def _event(self, record: Record, number: int, one: Event, definitions: Definitions, day: str) -> None:
        visitor = self._visitor(one.customer)
        if one.id in visitor.recent:
            return
        visitor.recent = [*visitor.recent[-RECENT + 1 :], one.id]
        data = _json(one.data).decode()
        data = data if len(data) <= DATA_CHARS_MAX else "{}"
        source = one.position
        self.events.append(
            (
                record.partition, record.offset, number, one.at, one.customer, one.id, one.type, data, one.arrived_at,
                source.source, source.partition, source.offset,
            )
        )  # fmt: skip
        if one.type in FEEDBACK and not one.data.get("machine"):
            self._feedback(one, day)
        if one.type == LINKED:
            _link(visitor, str(one.data.get("known_id") or ""))
        if visitor.alias_of:
            # The engine hands it on: it counts where it arrives, for the known customer.
            return
        credit(visitor, one, day, definitions, self.orders)
        carry(visitor, one, definitions)
        segments = self._segments(one.customer)
        touch(visitor, one, day, definitions, self.map, segments)
        walk(visitor, one, day, definitions, self.funnels, segments)

    def _forget(self, customer: str) -> None:
        self.erased.append(customer)
        self._visitors[customer] = Visitor()
        self.events = [row for row in self.events if row[4] != customer]

    def _visitor(self, name: str) -> Visitor:
        found = self._visitors.get(name)
        if found is None:
            row = self._known.get(name)
            found = self._visitors[name] = decode_visitor(None if row is None else bytes(row[1]))
        return found

    def _feedback(self, one: Event, day: str) -> None:
        """Count the first opening and the first click of each message."""
        name = str(one.data.get("command_id") or "")
        if not name:
            return
        which = 0 if one.type == "message_opened" else 1
        if name not in self.touched:
            row = self._commands.get(name)
            self.touched[name] = [row[OPENED], row[CLICKED]] if row else [0, 0]
        if not self.touched[name][which]:
            self.touched[name][which] = one.at
            scenario, step = str(one.data.get("scenario") or ""), str(one.data.get("step") or "")
            self.counts.add((day, scenario, "", FEEDBACK[one.type], step, ""), 1)

    def visitors(self) -> list[tuple[Any, ...]]:
        """Return the rows of the visitors that changed."""
        return [(name, encode_visitor(one), one.at) for name, one in self._visitors.items()]
