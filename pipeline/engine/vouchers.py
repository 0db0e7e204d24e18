"""Vouchers: a code is an HMAC of enrolment and step, so that a replay gives the same one and nobody can guess another.

The key comes with the plan, as data: every worker and every replay needs the same.
"""

import hmac
from base64 import b32encode
from typing import Any

from models.customer import Enrolment
from models.ids import digest
from models.voucher import Voucher
from pipeline.engine.bounds import bounded
from pipeline.engine.env import Missing

# 16 letters of base32 are 80 bits: beyond guessing, and short enough to be typed.
LETTERS = 16
PREFIX_MAX = 32


def code_of(key: bytes, enrolment: str, step: str, prefix: str, value: str) -> str:
    """Return PREFIX-XXXXXXXXXXXXXXXX; two vouchers of one step differ by their prefix or value."""
    drawn = hmac.digest(key, digest("voucher", enrolment, step, prefix, value).encode(), "sha256")
    return f"{prefix}-{b32encode(drawn).decode()[:LETTERS]}"


class Issuer:
    """Issues the vouchers of one send while its `with` is evaluated."""

    def __init__(self, key: bytes, enrolment: Enrolment, customer: str, step: str, command: str, now: int):
        self._key = key
        self._enrolment = enrolment
        self._customer = customer
        self._step = step
        self._command = command
        self._now = now
        self._issued: dict[str, Voucher] = {}

    @property
    def vouchers(self) -> list[Voucher]:
        """Return what was issued, each code once, in the order of `with`."""
        return list(self._issued.values())

    def issue(self, prefix: str, value: Any, valid_ms: int) -> str:
        """Return a code; Missing where its prefix is none. It is valid from when the message was due."""
        if not prefix or len(prefix) > PREFIX_MAX or not prefix.isprintable():
            raise Missing(f"voucher: a prefix has 1 to {PREFIX_MAX} printable characters")
        worth = bounded(str(value))
        code = code_of(self._key, self._enrolment.id, self._step, prefix, worth)
        self._issued[code] = Voucher(
            code=code,
            customer=self._customer,
            value=worth,
            scenario=self._enrolment.scenario,
            step=self._step,
            command=self._command,
            enrolment=self._enrolment.id,
            issued_at=self._now,
            valid_until=self._enrolment.clock + valid_ms,
        )
        return code
