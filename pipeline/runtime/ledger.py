"""How many commands a data folder holds and what became of them, counted on from where the last look stood."""

import msgspec

from models.receipt import FINAL
from pipeline.runtime.folder import Folder


class _Delivered(msgspec.Struct):
    kind: str


class _Received(msgspec.Struct):
    state: str


_delivered = msgspec.json.Decoder(_Delivered)
_received = msgspec.json.Decoder(_Received)


class CommandCounts:
    """`emitted` commands and their `ends` by state; a look reads what is new since the one before."""

    def __init__(self) -> None:
        self.emitted = 0
        self.ends = dict.fromkeys(FINAL, 0)
        self._next = {"delivery": 0, "receipts": 0}

    def look(self, folder: Folder) -> None:
        """Count what both streams hold by now; receipts first, so that no end is seen without its command."""
        for offset, raw in folder.scan("receipts", self._next["receipts"]):
            state = _received.decode(raw).state
            if state in self.ends:
                self.ends[state] += 1
            self._next["receipts"] = offset + 1
        for offset, raw in folder.scan("delivery", self._next["delivery"]):
            self.emitted += _delivered.decode(raw).kind == "command"
            self._next["delivery"] = offset + 1
