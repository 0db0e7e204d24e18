"""The events that a customer's state remembers, so that reading something early or late changes no meaning."""

from models.customer import Remembered
from pipeline.engine.bounds import bounded
from pipeline.engine.work import Happening, Work

# Of each type that an exit, a goal or a wait names (DESIGN section 5).
KEPT_OF_A_TYPE = 8
RECENT_IDS = 32


def as_remembered(work: Work, happening: Happening) -> Remembered:
    """Return an event as the state keeps it: with the fields that the plan names of its type."""
    fields = work.plan.remembered.get(happening.type, ())
    data = {name: bounded(happening.view[name]) for name in fields if name in happening.view} if fields else {}
    return Remembered(id=happening.id, type=happening.type, at=happening.at, data=data)


def by_time(kept: Remembered) -> tuple[int, str]:
    """Return the order in which events count: by `at`, ties by event id."""
    return (kept.at, kept.id)


def remember(work: Work, happening: Happening) -> None:
    """Keep an event if the plan looks back at its type: the last 8 by `at`."""
    if happening.type not in work.plan.remembered:
        return
    new, kept = as_remembered(work, happening), work.remembered
    if kept and kept[-1].type == new.type and by_time(kept[-1]) <= by_time(new):
        # The latest of the type that stands last, as most are: those of a type stand together.
        first = len(kept) - 1
        while first and kept[first - 1].type == new.type:
            first -= 1
        full = len(kept) - first >= KEPT_OF_A_TYPE
        work.remembered = (*kept[:first], *kept[first + 1 :], new) if full else (*kept, new)
        return
    same: list[Remembered] = []
    others: list[Remembered] = []
    for old in work.remembered:
        (same if old.type == new.type else others).append(old)
    in_order = not same or by_time(same[-1]) <= by_time(new)
    same.append(new)
    if not in_order:
        same.sort(key=by_time)
    work.remembered = (*others, *same[-KEPT_OF_A_TYPE:])


def view_of(kept: Remembered) -> dict[str, object]:
    """Return what expressions see of a remembered event."""
    return {**kept.data, "id": kept.id, "type": kept.type, "at": kept.at}


def note_id(work: Work, event_id: str) -> None:
    """Add to the last 32 event ids."""
    work.recent = (*work.recent, event_id)[-RECENT_IDS:]
