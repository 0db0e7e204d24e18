"""Records the golden journals: `python -m tests.golden.record` those that are missing, with names those anew.

`--expected NAME…` keeps a journal and its plans, and records only what comes of it now: for an intended change of
decisions, which needs a rule version of its own (see CONTRIBUTING.md).
"""

import sys
import tempfile
from pathlib import Path

from tests.golden import journal
from tests.golden.stories import STORIES, VOUCHER_KEY


def record(name: str) -> None:
    """Run a story, and record its journal and what comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        story = STORIES[name](Path(folder) / "log")
        journal.write(name, story.sources, story.messages, VOUCHER_KEY)
        story.close()


def main(words: list[str]) -> None:
    """Do what the words say, and print what was recorded."""
    only_expected = "--expected" in words
    names = [word for word in words if not word.startswith("--")]
    missing = [name for name in STORIES if not (journal.FOLDER / f"{name}.journal.jsonl").exists()]
    for name in names or missing:
        if only_expected:
            journal.write(name, *journal.read(name), VOUCHER_KEY)
        else:
            record(name)
        print(f"{name}: {len(journal.expected(name))} records")


if __name__ == "__main__":
    main(sys.argv[1:])
