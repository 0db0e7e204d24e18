"""The command line in this process: what it says on either stream, and its exit code."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.cli.main import main


@dataclass(frozen=True)
class Said:
    """What a command left."""

    code: int
    out: str
    err: str


class Shell:
    """Calls commands; one process does the work unless a test says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *words: str | Path) -> Said:
        self._capfd.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["parcours", *(str(word) for word in words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(str(end.code))
        out, err = self._capfd.readouterr()
        return Said(code, out, err)
