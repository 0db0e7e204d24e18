"""A local broker with listeners for PLAIN, SCRAM, OAUTHBEARER and TLS with client certificates."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agents import localkafka
from pipeline.errors import RunError

USER, PASSWORD = "parcours", "a secret with = and ;"
CLIENT, CLIENT_SECRET = "parcours-workers", "endpoint secret"
LISTENERS = {"PLAIN": "SASL_PLAINTEXT", "SCRAM": "SASL_SSL", "TLS": "SSL", "OAUTH": "SASL_SSL"}
MODULES = "org.apache.kafka.common.security"


def _pkcs8(pem: bytes) -> bytes:
    """Kafka reads PKCS 8 alone; the authority writes keys in the older form."""
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def unsigned_token(life_s: float, subject: str = USER) -> str:
    """Return a token without a signature, as the broker's check for development takes it."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now - 1, "exp": now + life_s})
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts) + "."


class SecuredBroker:
    """The broker, its ports by listener, and the files that a client of it names."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ports = {name: localkafka.free_port() for name in LISTENERS}
        self.authority = trustme.CA()
        self.ca = self._write("ca.pem", self.authority.cert_pem.bytes())
        self.stranger = self._write("stranger.pem", trustme.CA().cert_pem.bytes())
        self.password = self._write("password", PASSWORD.encode() + b"\n")
        client = self.authority.issue_cert("client.example")
        self.certificate = self._write("client.pem", client.cert_chain_pems[0].bytes())
        self.key = self._write("client.key", client.private_key_pem.bytes())

    def _write(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def start(self) -> None:
        server = self.authority.issue_cert("127.0.0.1")
        pair = _pkcs8(server.private_key_pem.bytes()) + b"".join(one.bytes() for one in server.cert_chain_pems)
        self._write("server.pem", pair)
        words = [f'SCRAM-SHA-{bits}=[name="{USER}",password="{PASSWORD}"]' for bits in (256, 512)]
        formatting = [word for said in words for word in ("--add-scram", said)]
        try:
            port = localkafka.free_port()
            self.inner = localkafka.start(self.folder / "broker", port, self._properties(port), formatting)
        except RunError as error:
            if "fetched" not in str(error):
                raise
            pytest.skip(f"no broker: {error}; `make setup` fetches one")

    def stop(self) -> None:
        localkafka.stop(self.folder / "broker")

    def _properties(self, inner: int) -> dict[str, str]:
        controller = localkafka.free_port()
        outer = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        kinds = ",".join(f"{name}:{kind}" for name, kind in LISTENERS.items())
        said = {
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller},{outer}",
            "advertised.listeners": f"INNER://127.0.0.1:{inner},{outer}",
            "listener.security.protocol.map": f"INNER:PLAINTEXT,CONTROLLER:PLAINTEXT,{kinds}",
            "inter.broker.listener.name": "INNER",
            "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.plain.plain.sasl.jaas.config": (
                f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            ),
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": (
                f'{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
            ),
            "listener.name.oauth.oauthbearer.connections.max.reauth.ms": "600000",
            "listener.name.tls.ssl.client.auth": "required",
        }
        for bits in ("256", "512"):
            name = f"listener.name.scram.scram-sha-{bits}.sasl.jaas.config"
            said[name] = f"{MODULES}.scram.ScramLoginModule required;"
        for name in ("scram", "tls", "oauth"):
            said |= {
                f"listener.name.{name}.ssl.keystore.type": "PEM",
                f"listener.name.{name}.ssl.keystore.location": str(self.folder / "server.pem"),
                f"listener.name.{name}.ssl.truststore.type": "PEM",
                f"listener.name.{name}.ssl.truststore.location": self.ca,
            }
        return said

    def bootstrap(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def environment(self, listener: str, mechanism: str = "") -> dict[str, str]:
        """Return what a client sets to come in by a listener."""
        said = {"KAFKA_BOOTSTRAP": self.bootstrap(listener), "KAFKA_SECURITY_PROTOCOL": LISTENERS[listener]}
        if LISTENERS[listener].endswith("SSL"):
            said["KAFKA_SSL_CA_FILE"] = self.ca
        if listener == "TLS":
            return said | {"KAFKA_SSL_CERT_FILE": self.certificate, "KAFKA_SSL_KEY_FILE": self.key}
        if listener == "OAUTH":
            return said | {"KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
        return said | {
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD_FILE": self.password,
        }


class TokenEndpoint(BaseHTTPRequestHandler):
    """Gives tokens of a short life to who knows the client's secret; `given` counts them."""

    given: ClassVar[list[str]] = []
    life_s: ClassVar[float] = 600

    def do_POST(self) -> None:
        said = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if said != f"{CLIENT}:{CLIENT_SECRET}":
            self._answer(401, {"error": "invalid_client"})
            return
        token = unsigned_token(self.life_s)
        self.given.append(token)
        self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": self.life_s})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def token_endpoint(life_s: float) -> Iterator[tuple[str, list[str]]]:
    """Serve an endpoint; give its address and the tokens that it gave."""
    kind = type("Endpoint", (TokenEndpoint,), {"given": [], "life_s": life_s})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token", kind.given  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
