"""The visit at hand, and its end: `session_ended`, half an hour after its last page; only where a plan listens to it.

A visit ends by a timer of the customer, or by the first page of the next visit where that is read before. It ends once:
a page of it that is read late changes nothing any more. Silent backfill begins none.
"""

from msgspec.structs import replace

from models.customer import NEVER, Session, Tracked
from models.event import Event
from models.event_types import SESSION_ENDED, VIEWED
from pipeline.engine.happenings import cause_of_clock, derived
from pipeline.engine.profile import VISIT_GAP_MS
from pipeline.engine.work import Happening, Work

BROWSING = frozenset(VIEWED)


def due_of(tracked: Tracked) -> int:
    """Return when the visit at hand is over (UTC ms), NEVER for none."""
    session = tracked.session
    return NEVER if session is None or session.over else session.last_at + VISIT_GAP_MS


def update(work: Work, event: Event) -> Happening | None:
    """Count a page to the visit at hand, or begin the next; return the end of the one before, if it had none yet."""
    if event.type not in BROWSING or work.silent:
        return None
    session, at = work.tracked.session, event.at
    if session is None:
        _keep(work, Session(at, at, 1))
        return None
    is_next = at > session.last_at + VISIT_GAP_MS or (event.type == "session_started" and at > session.last_at)
    if is_next:
        ended = None if session.over else _end_of(work, session, min(at, due_of(work.tracked)))
        _keep(work, Session(at, at, 1))
        return ended
    if not session.over and at >= session.began_at - VISIT_GAP_MS:
        began_at, last_at = min(session.began_at, at), max(session.last_at, at)
        _keep(work, Session(began_at, last_at, session.pages + 1))
    return None


def over(work: Work, at: int) -> Happening | None:
    """Return the end of the visit at hand, if it is over by a time (UTC ms)."""
    session = work.tracked.session
    if session is None or due_of(work.tracked) > at:
        return None
    ended = _end_of(work, session, due_of(work.tracked))
    _keep(work, replace(session, over=True))
    return ended


def together(mine: Session | None, theirs: Session | None) -> Session | None:
    """Return the visit at hand of one person from two: one that is over gives way."""
    known = [one for one in (mine, theirs) if one is not None]
    open_ones = [one for one in known if not one.over] or known[:1]
    if not open_ones:
        return None
    return Session(
        min(one.began_at for one in open_ones),
        max(one.last_at for one in open_ones),
        sum(one.pages for one in open_ones),
        open_ones[0].over,
    )


def _keep(work: Work, session: Session) -> None:
    work.tracked = replace(work.tracked, session=session)


def _end_of(work: Work, session: Session, at: int) -> Happening:
    fields = {"began_at": session.began_at, "pages": session.pages, "lasted": session.last_at - session.began_at}
    return derived(cause_of_clock(work, at), SESSION_ENDED, str(session.last_at), at, **fields)
