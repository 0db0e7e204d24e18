"""Liquid as every template is written in it: its limits, our filters, and a template's head and body."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from liquid import CachingDictLoader, Environment
from ruamel.yaml import YAML

from models.money import to_decimal

# What every template sees beside its step's `with`.
GIVEN = frozenset({"store", "language", "title", "preheader", "unsubscribe_url", "preferences_url"})
OUTPUT_BYTES_MAX = 512 * 1024
LOOP_MAX = 10_000
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
NARROW_SPACE, NO_BREAK_SPACE = "\u202f", "\u00a0"
MONTHS_FR = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip


class Limited(Environment):
    """Liquid without files or endless loops: templates come from the plan alone.

    A name that is not there is nothing, not an error: what an event does not say, a template leaves out.
    """

    loop_iteration_limit = LOOP_MAX
    output_stream_limit = OUTPUT_BYTES_MAX


def money_text(minor: Any, currency: str, language: str) -> str:
    """Return minor units as a person of the language reads them: €1,020.00 in English, 1 020,00 € in French.

    A missing amount is nothing, so that a template need not ask first.
    """
    if not isinstance(minor, int):
        return ""
    sign, digits = ("-" if minor < 0 else ""), f"{to_decimal(abs(minor), currency):,f}"
    if language == "fr":
        digits = digits.replace(",", NARROW_SPACE).replace(".", ",")
        return f"{sign}{digits}{NO_BREAK_SPACE}{SYMBOLS.get(currency, currency)}"
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{digits} {currency}"


def day_text(moment: Any, zone: str, language: str) -> str:
    """Return a time (UTC ms) as a day in the store's zone; nothing where there is none."""
    if not isinstance(moment, int):
        return ""
    day = datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(zone))
    if language == "fr":
        return f"{'1er' if day.day == 1 else day.day} {MONTHS_FR[day.month - 1]} {day.year}"
    return f"{day:%B} {day.day}, {day.year}"


def split_head(text: str) -> tuple[dict[str, str], str]:
    """Return a template's head (between lines of ---) and its body."""
    if not text.startswith("---\n"):
        return {}, text
    head, _, body = text[4:].partition("\n---\n")
    return dict(_read_head(head)), body


@lru_cache(maxsize=4096)
def _read_head(head: str) -> tuple[tuple[str, str], ...]:
    """Read a head once: each scenario of a plan looks at all templates."""
    found = YAML(typ="safe", pure=True).load(head) or {}
    return tuple((str(key), str(value)) for key, value in found.items())


def environment(bodies: Mapping[str, str], currency: str, zone: str, *, autoescape: bool) -> Environment:
    """Return an environment over a plan's templates, with the filters of every language."""
    found = Limited(loader=CachingDictLoader(dict(bodies)), autoescape=autoescape)
    for language in ("en", "fr"):
        _add_filters(found, currency, zone, language)
    return found


def _add_filters(found: Environment, currency: str, zone: str, language: str) -> None:
    suffix = "" if language == "en" else f"_{language}"
    found.add_filter(f"money{suffix}", lambda value: money_text(value, currency, language))
    found.add_filter(f"day{suffix}", lambda value: day_text(value, zone, language))
