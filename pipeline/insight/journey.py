"""The journey map: which touchpoint follows which in a session, and where people leave.

A session of a customer ends where no touch comes for SESSION_MS. A touch is an act of the customer's own, or a message
of ours that was opened or clicked (not by a machine). A visit's time and transition count for the day of the visit, in
the store's zone. What left without a next touch is visits less transitions: the sum over all sessions, those of the
last half hour included. `value` is the cart in hand after the visit, in minor units: the money that leaves with it.

An event that is older than the customer's last touch is left out: it would be a visit without a way on.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from models.event import Event
from models.event_types import OWN_ACTS
from pipeline.engine.cart import CART_EVENTS, update
from pipeline.insight.definitions import Definitions, Touchpoint
from pipeline.insight.segments import counted_for
from pipeline.insight.visitor import Visit, Visitor, text_of

SESSION_MS = 30 * 60_000
WAITING_MAX = 20
TOUCHES = OWN_ACTS | {"message_opened", "message_clicked"}
QUARTER_MS = 15 * 60_000  # every zone's offset is whole quarters of an hour
DAYS_KEPT = 4096

Node = tuple[str, str, str]  # day, segment, touchpoint
Edge = tuple[str, str, str, str]  # day, segment, source ("" at a session's start), target


class MapDeltas:
    """What a batch adds: nodes -> [visits, unnamed, value, indicator reached], edges -> [count, ms, value]."""

    def __init__(self) -> None:
        self.nodes: defaultdict[Node, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.edges: defaultdict[Edge, list[int]] = defaultdict(lambda: [0, 0, 0])


def days_in(zone_name: str) -> Callable[[int], str]:
    """Return a function from UTC ms to the day in a zone, as in 2026-01-31."""
    zone = ZoneInfo(zone_name)
    known: dict[int, str] = {}

    def day(at: int) -> str:
        quarter = at // QUARTER_MS
        found = known.get(quarter)
        if found is None:
            if len(known) > DAYS_KEPT:
                known.clear()
            found = datetime.fromtimestamp(quarter * QUARTER_MS / 1000, UTC).astimezone(zone).date().isoformat()
            known[quarter] = found
        return found

    return day


def automatic_name(event: Event) -> str:
    """Return the name of a touch that no touchpoint names: its page type, else its event type."""
    if event.type == "page_viewed" and event.data.get("page_type"):
        return f"page:{text_of(event.data, 'page_type')}"
    return event.type


def carry(visitor: Visitor, event: Event, definitions: Definitions) -> None:
    """Keep the cart and the last order as the engine does."""
    if event.type in CART_EVENTS:
        visitor.cart = update(visitor.cart, event, visitor.last_order_at, definitions.settings)
    if event.type == "order_placed":
        visitor.last_order_at = max(visitor.last_order_at or 0, event.at)


def touch(
    visitor: Visitor, event: Event, day: str, definitions: Definitions, out: MapDeltas, segments: str = ""
) -> None:
    """Count one event in the map, for each of the visitor's segments, and move the visitor on."""
    if event.type in definitions.kpi_types:
        _reached(visitor, event, definitions, out)
    named = definitions.touchpoint(event)
    if named is None and (event.type not in TOUCHES or event.data.get("machine")):
        return
    if event.at < visitor.at:
        return
    name = named.matcher.name if named else automatic_name(event)
    value = visitor.cart.total
    for segment in counted_for(segments):
        node = out.nodes[(day, segment, name)]
        node[0] += 1
        node[1] += named is None
        node[2] += value
    _await_kpi(visitor, event, day, named, segments)
    _came(visitor, event, day, name, out, segments)
    visitor.at, visitor.place, visitor.day, visitor.value, visitor.segment = event.at, name, day, value, segments


def _came(visitor: Visitor, event: Event, day: str, name: str, out: MapDeltas, segments: str) -> None:
    """Count the way here: for the day and segments of the visit that it came from, so that what left is the rest."""
    if visitor.place and event.at - visitor.at <= SESSION_MS:
        for segment in counted_for(visitor.segment):
            edge = out.edges[(visitor.day, segment, visitor.place, name)]
            edge[0] += 1
            edge[1] += event.at - visitor.at
            edge[2] += visitor.value
        return
    for segment in counted_for(segments):
        out.edges[(day, segment, "", name)][0] += 1


def _await_kpi(visitor: Visitor, event: Event, day: str, named: Touchpoint | None, segments: str) -> None:
    if named is None or named.kpi is None or named.kpi.count == event.type:
        return
    waiting = visitor.waiting.setdefault(named.matcher.name, [])
    waiting.append(Visit(event.at, day, segments))
    del waiting[:-WAITING_MAX]


def _reached(visitor: Visitor, event: Event, definitions: Definitions, out: MapDeltas) -> None:
    """Count each visit once whose indicator came in time; what came too late is waited for no more."""
    for name, visits in list(visitor.waiting.items()):
        kpi = definitions.kpis.get(name)
        if kpi is None:
            del visitor.waiting[name]
        elif kpi.count == event.type:
            for visit in visits:
                if visit.at <= event.at <= visit.at + kpi.within_ms:
                    for segment in counted_for(visit.segment):
                        out.nodes[(visit.day, segment, name)][3] += 1
            visitor.waiting[name] = [visit for visit in visits if visit.at > event.at]
