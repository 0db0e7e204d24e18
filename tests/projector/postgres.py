"""A PostgreSQL server of its own for a test: Debian's package, a temporary folder, a free port on 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGES = Path("/usr/lib/postgresql")
OPTIONS = "-c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories= -c shared_buffers=128MB"


def binaries() -> Path:
    found = sorted(PACKAGES.glob("*/bin/initdb"))
    if not found:
        if os.environ.get("CI"):
            raise AssertionError("no PostgreSQL: apt-get install postgresql")
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    return found[-1].parent


def as_server(*words: str | Path) -> None:
    """The server refuses to run as root: there it runs as the package's own user."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*user, *map(str, words)], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, done.stderr + done.stdout


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """Starts, stops and starts again in the same folder."""

    def __init__(self, folder: Path):
        self.folder = folder / "data"
        self.bin = binaries()
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        as_server(self.bin / "initdb", "-D", self.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        log = self.folder / "log"
        as_server(self.bin / "pg_ctl", "-D", self.folder, "-w", "-l", log, "-o", f"{OPTIONS} -p {self.port}", "start")

    def stop(self) -> None:
        as_server(self.bin / "pg_ctl", "-D", self.folder, "-m", "immediate", "-w", "stop")


@contextmanager
def running() -> Iterator[Server]:
    # Not in pytest's own folder, which root alone may enter.
    with tempfile.TemporaryDirectory(prefix="parcours-postgres-") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
