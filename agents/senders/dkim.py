"""DKIM signatures (RFC 6376) for mail over a relay that does not sign itself."""

import base64
import binascii
from typing import Protocol

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agents.senders.secrets import read_secret
from models.senders import DkimSpec
from pipeline.errors import UsageError

# RFC 8058 wants the two of the unsubscription among them.
SIGNED = (
    b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type",
    b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip
RSA_BITS_MIN = 1_024


class Signer(Protocol):
    """Puts a signature before a mail."""

    def sign(self, mail: bytes) -> bytes:
        """Return the signed mail."""


class DkimSigner:
    """Signs for one domain and selector, by RSA or Ed25519 (RFC 8463), relaxed."""

    def __init__(self, spec: DkimSpec):
        self._domain, self._selector = spec.domain.encode(), spec.selector.encode()
        self._algorithm, self._key = _key(read_secret(spec.key, "dkim.key"))

    def sign(self, mail: bytes) -> bytes:
        """Return the mail with its signature in front."""
        present = {line.partition(b":")[0].strip().lower() for line in mail.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        signature: bytes = dkim.sign(
            mail,
            self._selector,
            self._domain,
            self._key,
            canonicalize=(b"relaxed", b"relaxed"),
            signature_algorithm=self._algorithm,
            include_headers=[name for name in SIGNED if name in present],
        )
        return signature + mail


def _key(text: str) -> tuple[bytes, bytes]:
    """Return the algorithm and the key as dkimpy takes it: PEM of PKCS#1, or 32 bytes in base64."""
    try:
        found = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, binascii.Error):
        raise UsageError("dkim.key is no private key in PEM without a password") from None
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size >= RSA_BITS_MIN:
        return b"rsa-sha256", found.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    if isinstance(found, ed25519.Ed25519PrivateKey):
        return b"ed25519-sha256", base64.b64encode(found.private_bytes_raw())
    raise UsageError("dkim.key is neither RSA of at least 1,024 bits nor Ed25519")
