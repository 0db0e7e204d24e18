"""How our Kafka clients prove who they are and check whom they talk to: said by the environment, secrets by files.

Each variable may also be given as `NAME_FILE`, the path of a file that holds the value: a mounted secret. Files are
read again for every client that is made, so that a changed secret needs no restart of the host, only of the connection.
`docs/deploy/security.md` is the page for whoever sets them.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.kafka.oauth import MECHANISM as OAUTH
from agents.kafka.oauth import token_provider
from pipeline.errors import UsageError

PROTOCOL = "KAFKA_SECURITY_PROTOCOL"
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", OAUTH)
OURS = ("KAFKA_SASL_", "KAFKA_SSL_", "KAFKA_OAUTH_")


class Given:
    """The settings of the environment, each a value or a file that holds it."""

    def __init__(self, environment: Mapping[str, str]):
        self._environment = environment

    def get(self, name: str) -> str | None:
        """Return a setting, None where neither it nor its file is named; UsageError where both are, or it is empty."""
        value, file = self._environment.get(name), self._environment.get(f"{name}_FILE")
        if value is not None and file is not None:
            raise UsageError(f"{name} and {name}_FILE are both set: keep one")
        if file is not None:
            value = _content(f"{name}_FILE", file)
        if value is None:
            return None
        if not value.strip():
            raise UsageError(f"{name if file is None else name + '_FILE'} is empty: set it, or take it away")
        return value.strip()

    def need(self, name: str, what_for: str) -> str:
        """Return a setting; UsageError where it is missing."""
        found = self.get(name)
        if found is None:
            raise UsageError(f"{what_for} needs {name}, or {name}_FILE")
        return found

    def path(self, name: str) -> str | None:
        """Return the path of a file that is handed on as such; UsageError where it cannot be read."""
        place = self._environment.get(name)
        if place is not None:
            _content(name, place)
        return place

    def of_ours(self) -> list[str]:
        """Return the names that say something of security."""
        return sorted(name for name in self._environment if name.startswith(OURS))


def _content(name: str, file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: {file} cannot be read: {error}") from None


def connection(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what every client is given besides the brokers' addresses; UsageError where the environment is wrong.

    Without any setting this is empty: a plain connection, for brokers on this machine.
    """
    given = Given(os.environ if environment is None else environment)
    protocol = given.get(PROTOCOL) or "PLAINTEXT"
    if protocol not in PROTOCOLS:
        raise UsageError(f"{PROTOCOL} is {protocol!r}: one of {', '.join(PROTOCOLS)} is wanted")
    if protocol == "PLAINTEXT":
        if given.of_ours():
            raise UsageError(f"{given.of_ours()[0]} is set, but {PROTOCOL} is not: nothing would be checked")
        return {}
    said: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        said["ssl_context"] = _tls(given)
    if protocol.startswith("SASL"):
        said |= _sasl(given)
    return said


def _tls(given: Given) -> ssl.SSLContext:
    """The brokers' names and certificates are always checked, by the system's authorities or one of the store's."""
    try:
        context = ssl.create_default_context(cafile=given.path("KAFKA_SSL_CA_FILE"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        certificate, key = given.path("KAFKA_SSL_CERT_FILE"), given.path("KAFKA_SSL_KEY_FILE")
        if certificate is not None:
            context.load_cert_chain(certificate, key, password=given.get("KAFKA_SSL_KEY_PASSWORD") or "")
        elif key is not None:
            raise UsageError("KAFKA_SSL_KEY_FILE is set without KAFKA_SSL_CERT_FILE")
    except ssl.SSLError as error:
        raise UsageError(f"the certificates that KAFKA_SSL_… names cannot be used: {error}") from None
    return context


def _sasl(given: Given) -> dict[str, Any]:
    mechanism = given.need("KAFKA_SASL_MECHANISM", "SASL")
    if mechanism not in MECHANISMS:
        raise UsageError(f"KAFKA_SASL_MECHANISM is {mechanism!r}: one of {', '.join(MECHANISMS)} is wanted")
    said: dict[str, Any] = {"sasl_mechanism": mechanism}
    if mechanism == OAUTH:
        return said | {"sasl_oauth_token_provider": token_provider(given.get, given.path)}
    return said | {
        "sasl_plain_username": given.need("KAFKA_SASL_USERNAME", mechanism),
        "sasl_plain_password": given.need("KAFKA_SASL_PASSWORD", mechanism),
    }
