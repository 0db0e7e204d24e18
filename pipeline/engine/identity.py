"""Anonymous to known: a visitor who signs in becomes an alias, and what they held goes on to the known customer.

Theory of operation. A visitor is a customer whose id is anonymous (`models.identity`). What an event does:

    a visitor       identity_linked to a known id     an alias; one `identity_merged` to the known id
    an alias        identity_linked to the same id    nothing
    an alias        identity_linked to another id     the device is shared: from then on nothing of it is handed on
    an alias        any other event                   handed on to the known id, with its own id and times
    a known one     identity_linked                   refused: only an anonymous id can become an alias
    a known one     identity_merged                   see `merging`
    a known one     erasure_requested                 forgotten, and so are their aliases: each is told
    an alias        erasure_requested of its own      forgotten; the account that it belonged to stays

All hands over stand on the stream `forwards`, keyed by whom they are for, in the transaction that made them. An alias
is of a known id, a known id is never an alias, and what came from `forwards` is never forwarded again, so there are no
chains. A visitor of whom nothing is open is forgotten 30 days after their last step, an alias after 90, in log time.
"""

import msgspec
from msgspec.structs import replace

from models.customer import Customer, Enrolment, Identity, Tracked
from models.event import Event
from models.event_types import MESSAGE_TYPES
from models.identity import ANONYMOUS, BACKFILLED, ERASURE, FORWARDS, LINKED, MERGED, Held, Passage, is_anonymous
from models.ids import derived_event_id
from pipeline.engine.ending import cancel_unsent
from pipeline.engine.plan import DAY_MS
from pipeline.engine.work import Work

VISITOR_KEPT_MS = 30 * DAY_MS
ALIAS_KEPT_MS = 90 * DAY_MS
# Beyond any person's devices and browsers; the oldest alias is then forgotten, so that an erasure reaches them all.
ALIASES_MAX = 64
# Sources that tell what became of our messages.
BEHIND = frozenset({"receipts", "collected"})
EVENTS = frozenset({LINKED, MERGED, ERASURE, BACKFILLED})


def forgotten_at(customer: str, now: int, identity: Identity | None) -> int | None:
    """Return when somebody of whom nothing is open is forgotten (UTC ms), None for a known customer."""
    if not customer.startswith(ANONYMOUS):
        return None
    return now + (ALIAS_KEPT_MS if identity is not None and identity.alias_of else VISITOR_KEPT_MS)


def concerns(work: Work, event: Event) -> bool:
    """Say whether an event is about identities, or one of an alias: the engine does nothing else with it."""
    return event.type in EVENTS or is_alias(work)


def is_alias(work: Work) -> bool:
    """Say whether a visitor has signed in, and is known under another id."""
    return work.identity is not None and work.identity.alias_of != ""


def linked_or_forwarded(work: Work, event: Event) -> None:
    """Do the sign-in of a visitor, or hand on what comes under an alias."""
    if event.type == LINKED:
        _link(work, event)
    else:
        _hand_on(work, event)


def _link(work: Work, event: Event) -> None:
    known = event.data["known_id"]
    identity = work.identity
    if not is_anonymous(work.id) or is_anonymous(known):
        reason = "known_id_is_anonymous" if is_anonymous(work.id) else "not_anonymous"
        work.decide("dropped", reason, event=event.id)
    elif identity is None:
        _become_alias(work, event, known)
    elif identity.alias_of != known:
        work.decide("dropped", "shared_device", event=event.id)
        if identity.shared_at is None or event.at < identity.shared_at:
            work.identity = replace(identity, shared_at=event.at)


def _become_alias(work: Work, event: Event, known: str) -> None:
    kept = [_left(work, enrolment, event) for enrolment in work.enrolments]
    held = _held(work, kept)
    alias = Identity(alias_of=known, linked_at=event.at)
    now, activated, recent = work.now, work.activated, work.recent
    work.keep(Customer(id=work.id, now=now, activated=activated, recent=recent, identity=alias))
    work.decide("linked", "identified", event=event.id, detail={"known_id": known})
    data = {"visitor": work.id, "held": msgspec.to_builtins(held)}
    merged = replace(event, id=derived_event_id(event.id, MERGED, work.id), type=MERGED, data=data)
    _forward(work, merged, known)


def _left(work: Work, enrolment: Enrolment, event: Event) -> Enrolment:
    """End an enrolment as `identified`: what is unsettled is cancelled, and it goes on with the known customer."""
    if not enrolment.closing:
        work.decide("exited", "identified", enrolment, event=event.id)
    return cancel_unsent(work, enrolment, "identified")


def _held(work: Work, enrolments: list[Enrolment]) -> Held:
    return Held(
        profile=work.profile,
        cold=work.cold,
        remembered=work.remembered,
        passages=tuple(
            Passage(scenario=one.scenario, entry=one.entry, key=one.key, sent=one.sent, next_entry=one.next_entry)
            for one in enrolments
            if not one.closing
        ),
        closing=tuple(one for one in enrolments if one.closing),
        places=work.places,
        ended=work.ended,
        recent=work.recent,
        tracked=Tracked(scores=work.tracked.scores, counts=work.tracked.counts, session=work.tracked.session),
    )


def _hand_on(work: Work, event: Event) -> None:
    """Hand an event of an alias on, with its own id and times; nobody knows whose those of a shared device are."""
    identity = work.identity
    assert identity is not None
    if event.position.source == FORWARDS:
        work.decide("dropped", "forwarded_once", event=event.id)
    elif identity.shared_at is not None and event.at >= identity.shared_at:
        work.decide("dropped", "shared_device", event=event.id)
    else:
        _forward(work, event, identity.alias_of)


def _forward(work: Work, event: Event, to: str) -> None:
    work.forwards.append(replace(event, customer=to, silent=work.silent))


def may_erase(work: Work, event: Event) -> bool:
    """Say whether an erasure is this customer's: one that was handed on must be by whom they are an alias of."""
    by = event.data.get("known_id")
    return by is None or (work.identity is not None and work.identity.alias_of == by)


def is_of_nobody(event: Event) -> bool:
    """Say of an event of somebody of whom nothing is kept whether it begins nothing: what became of a message of ours.

    It comes after they were forgotten, from a sender or from an old mail; a state of it would hold their id again.
    """
    return event.position.source in BEHIND and event.type in MESSAGE_TYPES


def erase_aliases(work: Work, event: Event) -> None:
    """Tell every alias of a known customer that it is to be forgotten."""
    for alias in work.identity.aliases if work.identity else ():
        erase_alias(work, event, alias)


def erase_alias(work: Work, event: Event, alias: str) -> None:
    """Tell an alias, because of an event, that it is to be forgotten."""
    name = derived_event_id(event.id, ERASURE, alias)
    _forward(work, replace(event, id=name, type=ERASURE, data={"known_id": work.id}), alias)
