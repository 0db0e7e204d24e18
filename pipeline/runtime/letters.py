"""The dead letters of a data folder, and their replay: read again, and left for the run on the stream `forwards`."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import msgspec
from rocksdict import WriteBatch

from models.dead_letter import DeadLetter
from models.event import Event
from pipeline.intake.again import read_again
from pipeline.intake.feedback import COLLECTED
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.runtime.folder import Folder, meta_key
from pipeline.runtime.operator import HandedOn, say
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources

STREAM = "dead-letters"
SAID_AT_ONCE = 500
NATIVE = "native"
_decoder = msgspec.json.Decoder(DeadLetter)


class Replayed(msgspec.Struct, kw_only=True):
    """What became of letters that were read again: how many events they gave, and those that still give none."""

    events: int = 0
    still: list[DeadLetter] = []


def remember_mappings(folder: Folder, mappings: Mapping[str, str]) -> None:
    """Keep by which mapping each source is read, by the source's name: a replay reads its letters by the same."""
    batch = WriteBatch(raw_mode=True)
    for source, name in mappings.items():
        place = str(Path(name).absolute()) if name.endswith((".yaml", ".yml")) else name
        batch.put(meta_key(f"mapping/{source}"), place.encode())
    folder.write(batch)


def letters_of(folder: Folder, start: int = 0) -> Iterator[tuple[int, DeadLetter]]:
    """Yield the dead letters from a number on."""
    for number, raw in folder.scan(STREAM, start):
        yield number, _decoder.decode(raw)


def letter_at(folder: Folder, number: int) -> DeadLetter | None:
    """Return a dead letter by its number."""
    found = next(letters_of(folder, number), None)
    return found[1] if found is not None and found[0] == number else None


def replay_in_folder(folder: Folder, letters: Iterable[DeadLetter], mapping: str = "") -> Replayed:
    """Read letters again and leave their events for the run; `mapping` is for all of them, else each source's own."""
    done = Replayed()
    ordered = sorted(letters, key=lambda one: one.source)
    for source, found in groupby(ordered, key=lambda one: one.source):
        events, still = read_again(found, _mapper(folder, source, mapping))
        done.still += still
        done.events += len(events)
        _leave(folder.path, events)
    return done


def _mapper(folder: Folder, source: str, mapping: str) -> Mapper | None:
    kept = folder.get(f"mapping/{source}")
    name = mapping or (kept.decode() if kept else NATIVE if source == COLLECTED else "")
    if not name:
        return None
    live = (folder.get("plan") or b"").decode()
    raw = folder.get(f"plan/{live}") if live else None
    settings = read_settings(PlanSources.decode(raw) if raw else PlanSources({}))
    return Mapper(load_mapping(name), source, validator_for(settings.store.currency, settings.events))


def _leave(data: Path, events: list[Event]) -> None:
    for first in range(0, len(events), SAID_AT_ONCE):
        say(data, HandedOn(events=events[first : first + SAID_AT_ONCE], keep_times=True))
