"""Logs to stderr: JSON for machines, plain on a terminal. Nothing that names a person is let through.

What libraries log and warn of takes the same way, so that every line of a process is one JSON object.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter

PERSONAL = frozenset({"address", "email", "phone", "name", "first_name", "last_name", "customer", "subject"})
# An exception's text is not ours: a relay that refuses a mail says for whom.
ADDRESS = re.compile(r"[^\s<>\"'(),:;]+@[^\s<>\"'(),:;]+")
Said = MutableMapping[str, Any]


def without_persons(logger: Any, method: str, said: Said) -> Said:
    """Drop what could name a customer, and mask mail addresses wherever they stand."""
    for key in PERSONAL & said.keys():
        del said[key]
    for key, value in said.items():
        if isinstance(value, str) and "@" in value:
            said[key] = ADDRESS.sub("<address>", value)
    return said


def configure() -> None:
    """Set up logging for a process; of libraries, warnings and errors."""
    last: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    first: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*first, without_persons, last], logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, without_persons, last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
