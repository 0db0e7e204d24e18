"""Keeps the workers running: one that ends is started again, as the supervisor of a deployment does.

A slot runs while the file `wanted/NAME` is there; `pids/NAME` says its process, `deaths.jsonl` how each one ended.
"""

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fault.deployment import now_ms

RESTART_S = 1.0
STOP_S = 15.0
POLL_S = 0.02


@dataclass
class Slot:
    """A place for one process."""

    name: str
    words: list[str]
    env: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    again_at: float = 0.0
    told_at: float = field(default=0.0)


class Supervisor:
    """Runs slots in a thread of the driver."""

    def __init__(self, folder: Path, root: Path):
        self.folder = folder
        self.root = root
        self.slots: dict[str, Slot] = {}
        self._stopping = threading.Event()
        for name in ("wanted", "pids", "pauses"):
            (folder / name).mkdir(exist_ok=True)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def add(self, name: str, words: list[str], env: dict[str, str], *, wanted: bool) -> None:
        """Make a slot, whose pauses a test asks for in a folder of its own."""
        pauses = self.folder / "pauses" / name
        pauses.mkdir(exist_ok=True)
        self.slots[name] = Slot(name, words, {**os.environ, "PARCOURS_TEST_PAUSES": str(pauses), **env})
        if wanted:
            (self.folder / "wanted" / name).touch()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for slot in self.slots.values():
                self._look(slot)
            time.sleep(POLL_S)

    def _look(self, slot: Slot) -> None:
        wanted = (self.folder / "wanted" / slot.name).exists()
        process, now = slot.process, time.monotonic()
        if process is not None and process.poll() is not None:
            self._note(slot, process.returncode)
            slot.process, slot.again_at, slot.told_at = None, now + RESTART_S, 0.0
        elif process is None and wanted and now >= slot.again_at:
            self._start(slot)
        elif process is not None and not wanted and not slot.told_at:
            slot.told_at = now
            process.terminate()

    def _start(self, slot: Slot) -> None:
        with (self.folder / f"{slot.name}.log").open("ab") as log:
            slot.process = subprocess.Popen(slot.words, stdout=log, stderr=log, env=slot.env, cwd=self.root)
        path = self.folder / "pids" / slot.name
        path.with_suffix(".new").write_text(str(slot.process.pid))
        path.with_suffix(".new").rename(path)

    def _note(self, slot: Slot, code: int) -> None:
        (self.folder / "pids" / slot.name).unlink(missing_ok=True)
        with (self.folder / "deaths.jsonl").open("a") as out:
            out.write(json.dumps({"at": now_ms(), "slot": slot.name, "code": code}) + "\n")

    def stop(self) -> None:
        """End everything."""
        self._stopping.set()
        self._thread.join()
        running = [one.process for one in self.slots.values() if one.process is not None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
