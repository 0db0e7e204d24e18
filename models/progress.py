"""The progress record of one journal partition: where to read on, and what its watermark rests on."""

import msgspec

STATE_VERSION = 1


class SourceProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source partition as this journal partition has seen it.

    `offset`, `index` are the last event's position (the duplicate filter drops what is not after it), `covered` the
    offset up to which ticks account for, `before` the newest tick's time. `state`: joining, live, held (missing
    events: the watermark stands), retired. A feedback source (`forwards`, `receipts`) counts for no watermark.
    """

    source: str
    partition: int
    epoch: int = 0
    offset: int = -1
    index: int = -1
    covered: int = 0
    before: int = 0
    upto: int = 0  # the newest tick's arrival time before `delay` is taken off
    state: str = "live"
    feedback: bool = False


class Counts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ledger of one partition: everything that was read and became of it, since the beginning."""

    events: int = 0
    applied: int = 0
    duplicate: int = 0
    dead: int = 0
    silent: int = 0
    commands: int = 0
    cancels: int = 0
    decisions: int = 0
    forwards: int = 0
    vouchers: int = 0


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The truth of where one journal partition stands: written last in every commit.

    `next_offset` is the journal offset to read next, `entry` the index in that bundle of the next entry (a bundle may
    be cut). `watermark` is the minimum over live sources' ticks. `controls` holds the ids of the last 64 control
    records that acted. `pass_cursor` is the last customer that the activation pass has reached (None: pass done).
    """

    journal: str
    partitions: int
    partition: int
    lineage: str
    next_offset: int = 0
    watermark: int = 0
    applied_until: int = 0
    plan: str = ""
    plans: tuple[str, ...] = ()  # earlier plans, whose versions somebody may be inside
    activated: dict[str, int] = {}  # scenario -> when it first became live
    activated_at: int = 0
    pass_cursor: str | None = None
    sources: tuple[SourceProgress, ...] = ()
    controls: tuple[str, ...] = ()
    switches: dict[str, str] = {}
    counts: Counts = Counts()
    state_version: int = STATE_VERSION
    journal_at: int = 0
