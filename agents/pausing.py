"""A switch for tests alone: a worker stops, once, at a named point, so that a kill or a freeze hits just there.

Where PARCOURS_TEST_PAUSES names a folder, a test asks for a pause by a file with the point's name that holds how many
seconds. The worker takes the file away, leaves `paused-POINT-NAME` while it stands still, and goes on after that.
Journeys: begun, sent, flushed (all records acknowledged), committed, stored. Senders: intents (committed, nobody was
called), called (outcomes not yet committed). Ingest: written (in the journal, offsets not yet committed).
"""

import os
import time
from pathlib import Path

FOLDER = os.environ.get("PARCOURS_TEST_PAUSES")


def pause_at(point: str, name: object) -> None:
    """Stand still here if a test asks for it; `name` says of what (a partition)."""
    if FOLDER is not None:
        _pause(Path(FOLDER), point, name)


def _pause(folder: Path, point: str, name: object) -> None:
    asked, taken = folder / point, folder / f"paused-{point}-{name}"
    try:
        asked.rename(taken)
    except FileNotFoundError:
        return
    # Blocking, as a frozen process is: it goes on to its commit before it hears that it lost the partition.
    time.sleep(float(taken.read_text()))
    taken.unlink(missing_ok=True)
