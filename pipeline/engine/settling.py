"""Receipts: a command's end settles its enrolment, and moves or gives back its place under the caps."""

from msgspec.structs import replace

from pipeline.engine.ending import CANCELLED, close_or_drop
from pipeline.engine.work import Happening, Work

SETTLING = {
    "message_sent": "sent",
    "message_rejected": "rejected",
    "message_expired": "expired",
    "message_cancelled": "cancelled",
    "message_unknown": "unknown",
}
GIVES_BACK = frozenset({"rejected", "expired", "cancelled"})


def settle(work: Work, happening: Happening) -> None:
    """Apply the end of one command, if this event is one."""
    state = SETTLING.get(happening.type)
    command = happening.view.get("command_id")
    if state is None or command is None:
        return
    if state in GIVES_BACK:
        work.places = tuple(place for place in work.places if place.command != command)
    elif state == "sent":
        work.places = tuple(
            replace(place, at=happening.at) if place.command == command else place for place in work.places
        )
    for enrolment in work.enrolments:
        for index, sent in enumerate(enrolment.sent):
            if sent.command != command or sent.settled not in {"", CANCELLED}:
                continue
            despite = state == "sent" and sent.settled == CANCELLED
            reason = "sent_despite" if despite else state
            work.decide("settled", reason, enrolment, step=sent.step, command=sent.command, event=happening.id)
            settled = (*enrolment.sent[:index], replace(sent, settled=state), *enrolment.sent[index + 1 :])
            kept = replace(enrolment, sent=settled)
            work.put(kept)
            if kept.closing:
                close_or_drop(work, kept)
            return
