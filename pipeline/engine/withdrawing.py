"""What a withdrawn consent takes back: commands that were emitted under it and have no end yet."""

from msgspec.structs import replace

from models.command import Cancel
from models.customer import Enrolment, Sent
from models.event import Event
from pipeline.engine.ending import CANCELLED
from pipeline.engine.person import consents_to
from pipeline.engine.plan import Scenario, Send
from pipeline.engine.work import Work

REASON = "consent_withdrawn"


def take_back(work: Work, event: Event) -> None:
    """Cancel every unsettled command that the customer's consents no longer cover; the enrolments go on."""
    for enrolment in work.enrolments:
        scenario = work.scenario_of(enrolment)
        purposes = _purposes(scenario) if scenario is not None else {}
        kept = tuple(_kept(work, enrolment, sent, purposes.get(sent.step), event) for sent in enrolment.sent)
        if kept != enrolment.sent:
            work.put(replace(enrolment, sent=kept))


def _purposes(scenario: Scenario) -> dict[str, str]:
    return {op.name: op.purpose for op in scenario.program if isinstance(op, Send)}


def _kept(work: Work, enrolment: Enrolment, sent: Sent, purpose: str | None, event: Event) -> Sent:
    if sent.settled or consents_to(work.cold, sent.channel, purpose or "marketing", work.plan.settings, work.now):
        return sent
    work.cancels.append(
        Cancel(command=sent.command, customer=work.id, channel=sent.channel, reason=REASON, at=work.now)
    )
    work.decide("cancelled", REASON, enrolment, step=sent.step, command=sent.command, event=event.id)
    return replace(sent, settled=CANCELLED)
