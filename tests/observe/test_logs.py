"""Logs are one JSON object a line, and name nobody."""

import json
import subprocess
import sys
from typing import Any

import pytest

ADDRESS = "marie.dupont+shop@example.org"
PROCESS = f"""
import logging, warnings
import structlog
from agents.logs import configure

configure()
log = structlog.get_logger()
log.warning("refused", customer="c1", address="{ADDRESS}", command="k1", cause="550 <{ADDRESS}>: no")
try:
    raise OSError("no mailbox {ADDRESS}")
except OSError:
    log.exception("stopped")
    logging.getLogger("mode").exception("stopped too")
logging.getLogger("aiokafka.conn").warning("lost %s", "127.0.0.1:9092")
logging.getLogger("httpx").info("GET https://shop.example/c1")
warnings.simplefilter("always")
warnings.warn("old")
"""


@pytest.fixture(scope="module")
def written() -> str:
    """What a process with our logging writes to stderr."""
    return subprocess.run(
        [sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True, timeout=60
    ).stderr


@pytest.fixture(scope="module")
def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_every_line_is_json_whoever_speaks(lines: list[dict[str, Any]]) -> None:
    assert [line.get("logger", "ours") for line in lines] == ["ours", "ours", "mode", "aiokafka.conn", "py.warnings"]
    assert lines[3]["event"] == "lost 127.0.0.1:9092"
    assert all(line["timestamp"].endswith("Z") and line["level"] in {"warning", "error"} for line in lines)


def test_a_person_is_left_out_by_field_and_by_address(written: str, lines: list[dict[str, Any]]) -> None:
    assert ADDRESS not in written
    assert lines[0]["command"] == "k1"
    assert lines[0]["cause"] == "550 <<address>>: no"
    assert not {"customer", "address"} & lines[0].keys()


def test_the_text_of_an_exception_stays_without_its_addresses(lines: list[dict[str, Any]]) -> None:
    assert [line["exception"].count("OSError: no mailbox <address>") for line in lines[1:3]] == [1, 1]
