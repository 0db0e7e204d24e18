"""Where the sender of one channel stands in one partition of `delivery`: committed with every outcome."""

import msgspec


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Commands of the channel from offset `first` to `last`, none of them at its end; `held`: receipt written."""

    first: int
    last: int
    held: bool = False


class Retry(msgspec.Struct, frozen=True, array_like=True):
    """A command that the provider put off: how often it was tried, and not before when (UTC ms of the wall clock).

    `unsure_since`: since then it may have gone out (UTC ms of the wall clock), 0 where it has not.
    """

    offset: int
    attempts: int
    not_before: int
    unsure_since: int = 0


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """How many commands of one version of a scenario were rendered, and how many of them failed in the template."""

    scenario: str
    version: str
    seen: int
    failed: int


class Paced(msgspec.Struct, frozen=True, array_like=True):
    """How many commands of one version of a scenario went out, and how many in each part of the last hour."""

    scenario: str
    version: str
    seen: int
    parts: tuple[tuple[int, int], ...] = ()


class SenderProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The truth of where one (channel, partition of `delivery`) stands.

    Every command of the channel below `next` has its final receipt, but those in `waiting`. `open` are offsets whose
    intent is committed (at `opened_at`, UTC ms of the wall clock) and whose outcome is not: after a crash these are
    unknown. `braked` names scenarios that an operator must release since their templates fail, `sped` those that went
    too fast (`paced` are the counts). `passed` is the offset below which an operator released a scenario's commands,
    `dropped` that below which he dropped them. `records_clock` is None until the first mark has said which clock holds.
    """

    channel: str
    partition: int
    next: int = 0
    waiting: tuple[Span, ...] = ()
    open: tuple[int, ...] = ()
    opened_at: int = 0
    retries: tuple[Retry, ...] = ()
    tallies: tuple[Tally, ...] = ()
    braked: tuple[str, ...] = ()
    dropped: dict[str, int] = {}
    paced: tuple[Paced, ...] = ()
    sped: tuple[str, ...] = ()
    passed: dict[str, int] = {}
    records_clock: bool | None = None

    @property
    def low(self) -> int:
        """The offset from which `delivery` must be read again after a restart."""
        return min(self.waiting[0].first, self.next) if self.waiting else self.next


encode_progress = msgspec.json.Encoder().encode
decode_progress = msgspec.json.Decoder(SenderProgress).decode
