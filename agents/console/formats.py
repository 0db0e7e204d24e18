"""How words, numbers, money, times and reasons read on a page, in English and French.

Words are looked up by their English, in the files of the folder `words`: what is missing there stands in English.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from models.money import exponent

LANGUAGES = {"en": "English", "fr": "Français"}
WORDS = Path(__file__).parent / "words"
THIN, HARD = "\u202f", "\u00a0"
NONE = "\u2013"


@cache
def dictionary(language: str) -> dict[str, str]:
    """Return the words of a language, by their English; the files `LANGUAGE.*.json` put together."""
    found: dict[str, str] = {}
    for path in sorted(WORDS.glob(f"{language}.*.json")):
        found.update(json.loads(path.read_text()))
    return found


class Formats:
    """What the templates of one request call: its language, the store's zone and currency."""

    def __init__(self, language: str, timezone: str, currency: str):
        self.language = language
        self._zone = ZoneInfo(timezone)
        self._currency = currency
        self._words = dictionary(language)

    def names(self) -> dict[str, Callable[..., str]]:
        """Return the functions by the names that templates use."""
        return {
            "t": self.word, "num": self.number, "pct": self.percent, "money": self.money, "amount": self.amount,
            "when": self.when, "span": self.span, "said": self.said,
        }  # fmt: skip

    def word(self, english: str, **values: object) -> str:
        """Return a word or sentence in the language, its {names} filled in."""
        found = self._words.get(english, english)
        return found.format(**values) if values else found

    def said(self, code: object) -> str:
        """Return a code of the log (an outcome, a reason, a field's name) as people say it."""
        return self._words.get(f"code:{code}") or str(code).replace("_", " ")

    def number(self, value: float | None, places: int = 0) -> str:
        """Return a number with its thousands apart."""
        if value is None:
            return NONE
        text = f"{value:,.{places}f}"
        return text.replace(",", THIN).replace(".", ",") if self.language == "fr" else text

    def percent(self, share: float | None, places: int = 1) -> str:
        """Return a share (1 is all) as a percentage."""
        if share is None:
            return NONE
        return f"{self.number(share * 100, places)}{THIN if self.language == 'fr' else ''}%"

    def money(self, minor: int | None) -> str:
        """Return an amount of minor units with its currency."""
        return NONE if minor is None else self.amount(minor / 10 ** exponent(self._currency))

    def amount(self, units: float) -> str:
        """Return an amount of whole units with its currency."""
        return f"{self.number(units, exponent(self._currency))}{HARD}{self._currency}"

    def when(self, moment: int | str | None) -> str:
        """Return a time (UTC ms or ISO 8601) in the store's zone; a dash where there is none."""
        if not moment:
            return NONE
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else datetime.fromtimestamp(moment / 1000, UTC)
        return at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def span(self, ms: float | None) -> str:
        """Return a duration (ms) in its two largest units."""
        if ms is None:
            return NONE
        seconds = round(ms / 1000)
        parts = []
        for unit, size in (("j" if self.language == "fr" else "d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
            count, seconds = divmod(seconds, size)
            if count:
                parts.append(f"{count}{HARD}{unit}")
        return " ".join(parts[:2]) or f"0{HARD}s"
