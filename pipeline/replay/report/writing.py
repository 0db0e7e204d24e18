"""Puts a report where it was asked for: whole or not at all."""

import os
from pathlib import Path

from pipeline.errors import RunError


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and move it there; RunError where that fails."""
    half = path.with_name(path.name + ".part")
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        half.unlink(missing_ok=True)
