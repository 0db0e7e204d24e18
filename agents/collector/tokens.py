"""Tokens of the inbox: the store's server says by one whose messages its page may read. The page holds no secret.

A token is a JSON Web Token of HMAC-SHA-256 (RFC 7519, HS256), which every language has a library for: `sub` is the
customer's id, `aud` is `parcours-inbox`, `exp` is at most a day ahead.
"""

from pathlib import Path
from typing import NamedTuple

import jwt

from agents.collector.limits import Refused
from agents.collector.webhooks import secret_of
from models.inbox import CUSTOMER_BYTES_MAX
from pipeline.errors import UsageError
from pipeline.sending.links import SECRET_BYTES_MIN, own_secret

AUDIENCE = "parcours-inbox"
LASTS_S_MAX = 24 * 3_600
TOKEN_CHARS_MAX = 4_096
VARIABLE = "PARCOURS_INBOX_SECRET"
KEY_FILE = "inbox.key"


class Bearer(NamedTuple):
    """Whose messages a token lets read, and until when (seconds of the wall clock)."""

    customer: str
    ends_s: float


class InboxTokens:
    """Makes and reads tokens; the first secret makes, every one reads. The time is the wall clock's, in seconds."""

    def __init__(self, *secrets: bytes):
        if not secrets or min(len(one) for one in secrets) < SECRET_BYTES_MIN:
            raise UsageError(f"{VARIABLE}: at least {SECRET_BYTES_MIN} bytes: `openssl rand -hex 32` makes some")
        self._secrets = secrets

    def make(self, customer: str, now_s: int, lasts_s: int = 3_600) -> str:
        """Return a token for a customer; UsageError where it would last too long."""
        if not 0 < lasts_s <= LASTS_S_MAX:
            raise UsageError("a token lasts up to a day: write --lasts 1h")
        said = {"sub": customer, "aud": AUDIENCE, "exp": now_s + lasts_s}
        return jwt.encode(said, self._secrets[0], algorithm="HS256")

    def read(self, token: str, now_s: int) -> Bearer:
        """Return whose token this is; Refused (401) where it is not ours, was changed, or its time is over."""
        for secret in self._secrets:
            said = _opened(token, secret)
            if said is not None:
                return _checked(said, now_s)
        raise Refused(401, "token")


def _opened(token: str, secret: bytes) -> dict[str, object] | None:
    if len(token) > TOKEN_CHARS_MAX:
        return None
    # The time is compared below, by the clock that the collector was given.
    options = {"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        found: dict[str, object] = jwt.decode(token, secret, ["HS256"], options, audience=AUDIENCE)  # type: ignore[arg-type]
    except jwt.PyJWTError:
        return None
    return found


def _checked(said: dict[str, object], now_s: int) -> Bearer:
    customer, ends = said["sub"], said["exp"]
    if isinstance(ends, bool) or not isinstance(ends, int | float) or not now_s < ends <= now_s + LASTS_S_MAX:
        raise Refused(401, "token_time")
    if not isinstance(customer, str) or not 0 < len(customer.encode(errors="replace")) <= CUSTOMER_BYTES_MAX:
        raise Refused(401, "token")
    return Bearer(customer, ends)


def tokens_from_environment() -> InboxTokens | None:
    """Return the tokens of PARCOURS_INBOX_SECRET or the file PARCOURS_INBOX_SECRET_FILE; None without one."""
    said = secret_of(VARIABLE)
    return InboxTokens(*(one.strip().encode() for one in said.split(","))) if said else None


def tokens_of(folder: Path) -> InboxTokens:
    """Return the tokens of a data folder: the environment's secret, else the folder's own, made once for its owner."""
    return tokens_from_environment() or InboxTokens(own_secret(folder / KEY_FILE))
