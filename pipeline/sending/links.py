"""Sealed links: what a link of ours says can neither be read nor changed by who holds it.

A token is the message that it stands in, encrypted and authenticated by AES-SIV (RFC 5297): deterministic, so that the
same command at the same time gives the same mail, and without a name or address that a log of addresses would keep. The
kind of link is authenticated with it: a pixel's token does not unsubscribe.
"""

import base64
import binascii
import os
import re
import secrets as random_secrets
from hashlib import blake2b
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pipeline.errors import UsageError

OPEN, CLICK, UNSUBSCRIBE, PREFERENCES, REFERENCE = "open", "click", "unsubscribe", "preferences", "reference"
SECRET_BYTES_MIN = 32
TOKEN_CHARS_MAX = 8_000
KEY_FILE = "secret.key"


class LinkError(Exception):
    """A token is not ours, or was changed."""


class About(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a link is about: one message of one customer; `at` is when it was rendered (UTC ms), `url` a click's target.

    `address` is the keyed hash of the address that the message went to.
    """

    command: str
    customer: str
    channel: str
    scenario: str
    step: str
    purpose: str
    at: int
    address: str = ""
    language: str = "en"
    url: str = ""


class _Packed(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """`About` as it is sealed: what is written in hex takes half the room as bytes."""

    command: bytes
    customer: str
    channel: str
    scenario: str
    step: str
    purpose: str
    at: int
    address: bytes = b""
    language: str = "en"
    url: str = ""


_HEX = re.compile(r"[0-9a-f]{32}")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def _packed(about: About) -> bytes:
    command, customer, *more = msgspec.structs.astuple(about)
    more[5] = _short(more[5])
    return _encode(_Packed(_short(command), customer, *more))


def _unpacked(raw: bytes) -> About:
    command, customer, *more = msgspec.structs.astuple(_decode(raw))
    more[5] = _long(more[5])
    return About(_long(command), customer, *more)


def _short(text: str) -> bytes:
    """Return a text as bytes, the first of which says how it is written."""
    return b"h" + bytes.fromhex(text) if _HEX.fullmatch(text) else b"t" + text.encode()


def _long(said: bytes) -> str:
    return said[1:].hex() if said[:1] == b"h" else said[1:].decode()


class Links:
    """Seals and opens tokens. The first secret seals, every one opens; the last one hashes addresses, and must stay."""

    def __init__(self, *secrets: bytes):
        if not secrets or min(len(one) for one in secrets) < SECRET_BYTES_MIN:
            raise UsageError(
                f"a secret of at least {SECRET_BYTES_MIN} bytes is needed: `openssl rand -hex 32` makes one"
            )
        self._ciphers = [AESSIV(_derived(one, b"links", 64)) for one in secrets]
        # The last secret's, as the hash of addresses: codes that are out must stay what they are.
        self.voucher_key = _derived(secrets[-1], b"vouchers", 32)
        self._address_key = _derived(secrets[-1], b"addresses", 32)

    def seal(self, kind: str, about: About) -> str:
        """Return the token of a link."""
        return _text(self._ciphers[0].encrypt(_packed(about), [kind.encode()]))

    def open(self, kind: str, token: str) -> About:
        """Return what a token is about; LinkError where it is not ours, of another kind, or was changed."""
        if not 0 < len(token) <= TOKEN_CHARS_MAX:
            raise LinkError("not a token")
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (ValueError, binascii.Error):
            raise LinkError("not a token") from None
        if _text(raw) != token:
            raise LinkError("not a token")  # other letters for the same bytes
        for cipher in self._ciphers:
            try:
                return _unpacked(cipher.decrypt(raw, [kind.encode()]))
            except (InvalidTag, ValueError, msgspec.DecodeError):
                continue
        raise LinkError("not ours, or changed")

    def address_hash(self, channel: str, address: str) -> str:
        """Return the keyed hash of an address, 32 hex characters: letter case and spaces do not count."""
        plain = "".join(address.split()).lower()
        return blake2b(f"{channel}:{plain}".encode(), key=self._address_key, digest_size=16).hexdigest()


def _derived(secret: bytes, purpose: bytes, size: int) -> bytes:
    return blake2b(secret, digest_size=size, person=purpose).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def links_from_environment() -> Links | None:
    """Return the links of PARCOURS_SECRET (several, newest first, between commas) or the file PARCOURS_SECRET_FILE."""
    said = os.environ.get("PARCOURS_SECRET", "")
    path = os.environ.get("PARCOURS_SECRET_FILE", "")
    if not said and path:
        try:
            said = Path(path).read_text().strip()
        except OSError as error:
            raise UsageError(f"PARCOURS_SECRET_FILE: {path} cannot be read ({error.strerror})") from None
    if not said:
        return None
    return Links(*(one.strip().encode() for one in said.split(",")))


def voucher_key() -> bytes:
    """Return the key of vouchers that the environment's secret gives, empty without one."""
    links = links_from_environment()
    return b"" if links is None else links.voucher_key


def links_of(folder: Path) -> Links:
    """Return the links of a data folder: the environment's secret, else the folder's own, made once for its owner."""
    found = links_from_environment()
    if found is not None:
        return found
    return Links(own_secret(folder / KEY_FILE))


def own_secret(path: Path) -> bytes:
    """Return the secret that a file holds; made once, for its owner."""
    if not path.exists():
        half = path.with_suffix(".part")
        half.touch(mode=0o600)
        half.write_text(random_secrets.token_hex(SECRET_BYTES_MIN))
        os.replace(half, path)
    return path.read_text().strip().encode()
