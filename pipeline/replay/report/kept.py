"""The last difference of a draft, kept in the data folder, where the console shows it before an apply.

It holds counts and reasons, and no customer: the examples stay in what `parcours diff` prints.
"""

import json
import os
from pathlib import Path
from typing import Any

NAME = "diff.json"


def keep_diff(folder: Path, figures: dict[str, Any], draft: str) -> None:
    """Keep the figures of a difference; `draft` is the folder that was compared, as it was named."""
    changes = [{name: value for name, value in one.items() if name != "examples"} for one in figures["changes"]]
    half = folder / f"{NAME}.part"
    half.touch(mode=0o600)
    half.write_text(json.dumps({**figures, "changes": changes, "folder": draft}, default=str))
    os.replace(half, folder / NAME)


def kept_diff(folder: Path) -> dict[str, Any] | None:
    """Return the figures that were kept last; None where there are none, or what is there cannot be read."""
    try:
        found = json.loads((folder / NAME).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
