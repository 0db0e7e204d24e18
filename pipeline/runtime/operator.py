"""What an operator says to an embedded run from outside: small files in its data folder, taken between two slices.

A file is written whole or not at all, and is deleted after its record stands in the journal (a release: on `delivery`;
what a backfill worked out: on `forwards`; an erasure: on `collected`; a suppression that is lifted: taken away). A
crash between the two puts the same record there twice: a switch, a plan and an event act once by their ids, a release,
an erasure and a lift find nothing more.
"""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from models.command import Release
from models.event import Event
from models.identity import ERASURE
from models.journal import ScenarioSwitched
from pipeline.sending.hearing import Heard

FOLDER = "operator"


class HandedOn(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="handed_on"):
    """Events for the stream `forwards`; the run gives them the log time `at` (UTC ms) at which it hears of them.

    Those that `keep_times` come from records of their own time, read again: what is long past starts nothing.
    """

    events: list[Event]
    at: int = 0
    keep_times: bool = False

    def dated(self) -> list[Event]:
        """Return the events with their time."""
        if self.keep_times:
            return self.events
        return [replace(event, occurred_at=self.at, arrived_at=self.at) for event in self.events]


class Lifted(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lift"):
    """Keys of suppressed addresses' facts that hold no more."""

    keys: list[str]
    at: int = 0


class PlanSaid(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="apply"):
    """A plan that is to become live from log time `at` (UTC ms) on: the files of its sources."""

    id: str
    files: dict[str, str]
    at: int = 0


class EraseSaid(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="erase"):
    """A customer is to be forgotten, from log time `at` (UTC ms) on."""

    id: str
    customer: str
    at: int = 0

    def heard(self) -> Heard:
        """Return it as a native record: it goes the way of what the collector hears."""
        said = datetime.fromtimestamp(self.at / 1000, UTC).isoformat(timespec="milliseconds")
        return Heard({"type": ERASURE, "id": self.id, "customer": self.customer, "occurred_at": said})


Word = ScenarioSwitched | Release | HandedOn | PlanSaid | EraseSaid | Lifted
_decoder = msgspec.json.Decoder(Word)


def say(data: Path, entry: Word) -> None:
    """Leave a record for the run of a data folder, or for the next one where none runs."""
    folder = data / FOLDER
    folder.mkdir(exist_ok=True)
    half = folder / f"{secrets.token_hex(8)}.part"
    half.write_bytes(msgspec.json.encode(entry))
    try:
        # Two may speak at once: a link takes a number only where nobody has.
        while not _linked(half, folder):
            pass
    finally:
        half.unlink()


def _linked(half: Path, folder: Path) -> bool:
    number = max((int(one.stem) for one in folder.glob("*.json")), default=0) + 1
    try:
        os.link(half, folder / f"{number}.json")
    except FileExistsError:
        return False
    return True


def said(data: Path) -> list[tuple[Path, Word]]:
    """Return what was left, in order; a file that is no such record is put aside under another name."""
    found = []
    for path in sorted((data / FOLDER).glob("*.json"), key=lambda one: int(one.stem)):
        try:
            found.append((path, _decoder.decode(path.read_bytes())))
        except msgspec.DecodeError:
            put_aside(path)
    return found


def put_aside(path: Path) -> None:
    """Leave a file that cannot be followed under another name."""
    path.rename(path.with_suffix(".wrong"))
