"""Logs to stderr: JSON for machines, plain on a terminal. Nothing that names a person is let through."""

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

PERSONAL = frozenset({"address", "email", "phone", "name", "first_name", "last_name", "customer", "subject"})


def without_persons(logger: Any, method: str, said: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what could name a customer."""
    for key in PERSONAL & said.keys():
        del said[key]
    return said


def configure() -> None:
    """Set up logging for a process."""
    last: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_persons,
            structlog.processors.format_exc_info,
            last,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
