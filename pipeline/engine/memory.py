"""The events that a customer's state remembers, so that reading something early or late changes no meaning."""

from typing import Any

from models.customer import Remembered
from pipeline.engine.work import Happening, Work

# Of each type that an exit, a goal or a wait names.
KEPT_OF_A_TYPE = 8
RECENT_IDS = 32


# Lists inside events (an invoice can have a thousand lines) are kept this far: a message shows no more.
LIST_KEPT = 20


def bounded(value: Any) -> Any:
    """Return a value as a state may keep it."""
    return value[:LIST_KEPT] if isinstance(value, list | tuple) else value


def remember(work: Work, happening: Happening) -> None:
    """Keep an event if the plan looks back at its type: the last 8 by `at`, with the named fields."""
    fields = work.plan.remembered.get(happening.type)
    if fields is None:
        return
    data = {name: bounded(happening.view[name]) for name in fields if name in happening.view}
    new = Remembered(id=happening.id, type=happening.type, at=happening.at, data=data)
    same = sorted((old for old in (*work.remembered, new) if old.type == new.type), key=lambda kept: (kept.at, kept.id))
    others = [old for old in work.remembered if old.type != new.type]
    work.remembered = (*others, *same[-KEPT_OF_A_TYPE:])


def view_of(kept: Remembered) -> dict[str, object]:
    """Return what expressions see of a remembered event."""
    return {**kept.data, "id": kept.id, "type": kept.type, "at": kept.at}


def note_id(work: Work, event_id: str) -> None:
    """Add to the last 32 event ids."""
    work.recent = (*work.recent, event_id)[-RECENT_IDS:]
