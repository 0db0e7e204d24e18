"""Pages by type: how often and how long a customer was there; only where a plan reads `profile.pages`."""

from msgspec.structs import replace

from models.customer import Cold
from models.event import Event
from models.event_types import VIEWED
from pipeline.engine.counts import NAME_MAX
from pipeline.engine.interests import COUNTED_MAX

BROWSING = frozenset(VIEWED)


def update(cold: Cold, event: Event) -> Cold:
    """Return what is known after an event: visits and time (ms) of its page type, of the 16 most visited types."""
    kind = event.data.get("page_type")
    if not kind or event.type not in BROWSING:
        return cold
    kind = kind[:NAME_MAX]
    visits, time_ms = cold.pages.get(kind, (0, 0))
    found = {**cold.pages, kind: (visits + 1, time_ms + (event.data.get("time_on_page") or 0))}
    if len(found) > COUNTED_MAX:
        # The least visited of the others makes room; its count is not handed on, for its time is not theirs.
        del found[min((name for name in found if name != kind), key=lambda name: (found[name], name))]
    return replace(cold, pages=found)
