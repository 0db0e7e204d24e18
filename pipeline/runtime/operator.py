"""What an operator says to an embedded run from outside: small files in its data folder, taken between two slices.

A file is written whole or not at all, and is deleted after its record stands in the journal. A crash between the two
puts the same record there twice; by its id it acts once.
"""

import os
from pathlib import Path

import msgspec

from models.journal import ScenarioSwitched

FOLDER = "operator"
_decoder = msgspec.json.Decoder(ScenarioSwitched)


def say(data: Path, entry: ScenarioSwitched) -> None:
    """Leave a record for the run of a data folder, or for the next one where none runs."""
    folder = data / FOLDER
    folder.mkdir(exist_ok=True)
    number = max((int(one.stem) for one in folder.glob("*.json")), default=0) + 1
    half = folder / f"{number}.part"
    half.write_bytes(msgspec.json.encode(entry))
    os.replace(half, folder / f"{number}.json")


def said(data: Path) -> list[tuple[Path, ScenarioSwitched]]:
    """Return what was left, in order; a file that is no such record is put aside under another name."""
    found = []
    for path in sorted((data / FOLDER).glob("*.json"), key=lambda one: int(one.stem)):
        try:
            found.append((path, _decoder.decode(path.read_bytes())))
        except msgspec.DecodeError:
            path.rename(path.with_suffix(".wrong"))
    return found
