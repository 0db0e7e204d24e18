"""Why something was or was not done: a record on `decisions`, keyed by customer."""

from typing import Any

import msgspec

# Outcomes, with who reads them: `entered`, `not_entered`, `sent` (a command was emitted), `suppressed` (a send step
# was reached and passed over), `waiting` (a send step waits), `exited`, `completed`, `goal`, `cancelled`, `settled`,
# `branched`, `migrated` (an edit moved it), `failed` (an expression had no value or an exception was caught),
# `dropped` (a bound was reached), `linked` (a visitor signed in and is an alias now), `merged` (what a visitor held
# came to the known customer).
OUTCOMES = (
    "entered", "not_entered", "sent", "suppressed", "waiting", "exited", "completed",
    "goal", "cancelled", "settled", "branched", "migrated", "failed", "dropped", "linked", "merged",
)  # fmt: skip


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One outcome (see OUTCOMES) with its reason, at log time `at` (UTC milliseconds)."""

    customer: str
    at: int
    outcome: str
    reason: str
    scenario: str = ""
    enrolment: str = ""
    step: str = ""
    event: str = ""
    command: str = ""
    version: str = ""
    detail: dict[str, Any] = {}
