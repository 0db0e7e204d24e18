"""The true cause behind each reason, in a sentence, from what was known then: never from what is known now.

Each function takes a `Case`: the decision, the step and settings in force at its time, what was known of the customer
then, and the records to name events by.
"""

from collections.abc import Callable

from pipeline.replay import passage_causes, send_causes
from pipeline.replay.case import Case, Cause


def cause_of(case: Case) -> Cause | None:
    """Return the cause of a decision; None where its outcome and reason say all."""
    one = case.decision
    found = CAUSES.get((one.outcome, one.reason)) or CAUSES.get((one.outcome, ""))
    return found(case) if found is not None else None


CAUSES: dict[tuple[str, str], Callable[[Case], Cause | None]] = {
    ("suppressed", "no_consent"): send_causes.no_consent,
    ("suppressed", "no_address"): send_causes.no_address,
    ("suppressed", "capped"): send_causes.capped,
    ("suppressed", "limit"): send_causes.capped,
    ("waiting", "capped"): send_causes.capped,
    ("waiting", "limit"): send_causes.capped,
    ("waiting", "quiet_hours"): send_causes.quiet_hours,
    ("suppressed", "held_out"): send_causes.held_out,
    ("entered", "held_out"): send_causes.held_out,
    ("completed", "held_out"): send_causes.held_out,
    ("suppressed", "paused"): send_causes.paused,
    ("suppressed", "silence"): send_causes.silence,
    ("suppressed", "before_activation"): send_causes.before_activation,
    ("suppressed", "before_backfill"): send_causes.before_backfill,
    ("not_entered", "late"): passage_causes.late,
    ("not_entered", "again"): passage_causes.again,
    ("not_entered", "inside"): passage_causes.inside,
    ("not_entered", "exit_holds"): passage_causes.exit_holds,
    ("not_entered", "overtaken"): passage_causes.overtaken,
    ("exited", ""): passage_causes.exited,
    ("cancelled", ""): passage_causes.cancelled,
    ("settled", "overdue"): passage_causes.overdue,
    ("failed", ""): passage_causes.failed,
    ("branched", ""): passage_causes.branched,
}
