"""Where the embedded sender stands on `delivery`: one record of the data folder, written with every commit."""

from itertools import islice

import msgspec
from rocksdict import WriteBatch

from pipeline.runtime.folder import Folder, meta_key
from pipeline.sending.progress import Paced, SenderProgress, Tally


class SenderState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Every command before `next` has its end, but those of the round in hand, and what `Aside` keeps.

    `round` are the offsets of the round in hand that have no end; of these `open` have an intent and no outcome since
    `opened_at` (UTC ms of the wall clock), and `put_off` have an intent and were not called: a stop came before. A
    round of released commands is of log time `round_at` (UTC ms) at least, when the operator let them go. `tallies`,
    `braked`, `paced` and `sped` are as in a cluster's SenderProgress.

    `upto` and `done` are of folders that an earlier release wrote: their round in hand was [next, upto) without `done`.
    """

    next: int = 0
    round: list[int] = []
    round_at: int = 0
    open: list[int] = []
    opened_at: int = 0
    put_off: list[int] = []
    tallies: tuple[Tally, ...] = ()
    braked: tuple[str, ...] = ()
    paced: tuple[Paced, ...] = ()
    sped: tuple[str, ...] = ()
    upto: int = 0
    done: list[int] = []

    def counted(self) -> SenderProgress:
        """Return what of it the tallies of failing templates go on from."""
        return SenderProgress(channel="", partition=0, tallies=self.tallies, braked=self.braked)


decode_state = msgspec.json.Decoder(SenderState).decode
HELD, RELEASED = "held/", "released/"


def _key(kind: str, offset: int) -> bytes:
    return meta_key(f"{kind}{offset:020}")


class Aside:
    """Offsets of commands that wait for an operator (`held`), or that he has let go (`released`): a row each."""

    def __init__(self, folder: Folder):
        self._folder = folder

    def held(self) -> list[int]:
        """Return what waits for an operator, in order."""
        return [int(name) for name, _ in self._folder.values(HELD)]

    def released(self, limit: int) -> tuple[list[int], int]:
        """Return the first that were let go at one time, and that log time (UTC ms)."""
        rows = [(int(name), int(at)) for name, at in islice(self._folder.values(RELEASED), limit)]
        at = rows[0][1] if rows else 0
        return [offset for offset, then in rows if then == at], at

    def hold(self, batch: WriteBatch, offset: int) -> None:
        """Put a command aside."""
        batch.put(_key(HELD, offset), b"")

    def release(self, batch: WriteBatch, offset: int, at: int) -> None:
        """Let a held command go, as of a log time (UTC ms)."""
        batch.delete(_key(HELD, offset))
        batch.put(_key(RELEASED, offset), str(at).encode())

    def forget(self, batch: WriteBatch, offset: int) -> None:
        """Take a command from here: it is in a round, or at its end."""
        batch.delete(_key(HELD, offset))
        batch.delete(_key(RELEASED, offset))
