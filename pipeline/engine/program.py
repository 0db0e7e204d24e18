"""The ops of a scenario's program: a flat list in which each names the index of the op that follows it."""

from dataclasses import dataclass

from pipeline.engine.env import Expr

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait `for_ms` from when the step before was done; an event `restart_on` begins it anew, `at_most_ms` in all."""

    for_ms: int
    next: int
    restart_on: str | None = None
    at_most_ms: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until a moment of the customer's local time: of a day (with an offset), of the week, or the best hour.

    `time_ms` counts from midnight by the clock on the wall, weekdays from 0 (Monday). A day's moment that is already
    past follows `if_past`: go_on, skip_next (go on at `skip`) or exit. The best hour is looked for in `within_ms`.
    """

    next: int
    skip: int
    if_past: str = "go_on"
    time_ms: int | None = None
    weekdays: tuple[int, ...] = ()
    day: Expr | None = None
    offset_ms: int = 0
    best_of: str | None = None
    within_ms: int = DAY_MS
    label: str = ""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way out of a `WaitFor`: an event (with `where`, about send `of`), or a condition; goes on at `goto`."""

    goto: int
    on: str | None = None
    where: Expr | None = None
    when: Expr | None = None
    of: str | None = None
    keep_as: str | None = None


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait for the first alternative that comes or holds already; after `at_most_ms` go on at `otherwise`.

    `since_entry` lets an event count that came after the entry but before this step.
    """

    alternatives: tuple[Alternative, ...]
    otherwise: int
    at_most_ms: int | None = None
    since_entry: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Emit a command by the first of `channels` with an address and consent; see SEND_CHECKS in `engine.sending`."""

    name: str
    channels: tuple[str, ...]
    template: str
    purpose: str
    next: int
    data: tuple[tuple[str, Expr], ...] = ()
    require: tuple[str, ...] = ()
    valid_for_ms: int = DAY_MS
    if_capped: str = "skip"  # skip | exit | wait
    repeat_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """Go on at the first arm whose condition holds (None: always), else at `next`."""

    arms: tuple[tuple[Expr | None, int], ...]
    next: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """Go on at an arm drawn by a hash of (scenario, split, customer); shares are in 1/10000 and sum to 10000."""

    name: str
    arms: tuple[tuple[str, int, int], ...]  # path name, share, goto


@dataclass(frozen=True, slots=True)
class Start:
    """Enrol in another scenario too, by the same entry, and go on."""

    scenario: str
    next: int


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Write attributes of the customer."""

    values: tuple[tuple[str, Expr], ...]
    next: int


@dataclass(frozen=True, slots=True)
class AddScore:
    """Add whole points to scores of the customer."""

    points: tuple[tuple[str, int], ...]
    next: int


@dataclass(frozen=True, slots=True)
class Exit:
    """End the enrolment here with a reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last step is done."""


Op = Wait | Until | WaitFor | Send | Branch | Split | SetAttributes | AddScore | Start | Exit | Done
