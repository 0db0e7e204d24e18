"""What a visitor without a name is called, and what goes along to the known customer when they sign in."""

import msgspec

from models.customer import Cold, Ended, Enrolment, Entry, Place, Profile, Remembered, Sent, Tracked

# An id that begins so is a visitor's: a cookie's or a device's, before anybody signed in. No other id is anonymous.
ANONYMOUS = "anon:"
# The stream on which the engine hands events on to another customer; ingest reads it as a source of this name.
FORWARDS = "forwards"
LINKED = "identity_linked"
MERGED = "identity_merged"
ERASURE = "erasure_requested"
# Brings an enrolment that history would have begun; it stands on `forwards`, and no other source may send it.
BACKFILLED = "enrolment_backfilled"


def is_anonymous(customer: str) -> bool:
    """Say whether a customer id is a visitor's, of whom it is not known who they are."""
    return customer.startswith(ANONYMOUS)


class Passage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open enrolment of a visitor: what began it, what is out already, and the entry event that would come next."""

    scenario: str
    entry: Entry
    key: str = ""
    sent: tuple[Sent, ...] = ()
    next_entry: Entry | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a visitor's state held at the sign-in: `held` in the data of an `identity_merged` event."""

    profile: Profile = Profile()
    cold: Cold = Cold()
    remembered: tuple[Remembered, ...] = ()
    passages: tuple[Passage, ...] = ()
    closing: tuple[Enrolment, ...] = ()
    places: tuple[Place, ...] = ()
    ended: tuple[Ended, ...] = ()
    recent: tuple[str, ...] = ()
    tracked: Tracked = Tracked()  # scores, counts, visit; segments and levels stay behind
