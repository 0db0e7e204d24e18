"""Liquid templates of a plan to a message: text, HTML and subject in the customer's language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from liquid import CachingDictLoader, Environment
from ruamel.yaml import YAML

from models.command import Command
from models.money import to_decimal
from models.settings import SettingsSpec
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.outcome import Message

OUTPUT_BYTES_MAX = 512 * 1024
LOOP_MAX = 10_000
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
NARROW_SPACE, NO_BREAK_SPACE = "\u202f", "\u00a0"
MONTHS_FR = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip


class RenderError(Exception):
    """A template is missing or fails for this customer; the text says which and why."""


class _Limited(Environment):
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
    found = YAML(typ="safe", pure=True).load(head) or {}
    return {str(key): str(value) for key, value in found.items()}, body


class Renderer:
    """Renders the commands of one plan."""

    def __init__(self, sources: PlanSources):
        self.sources = sources
        self.settings: SettingsSpec = read_settings(sources)
        self._heads = {name: split_head(text) for name, text in sources.files.items() if not name.endswith(".yaml")}
        bodies = {name: body for name, (_, body) in self._heads.items()}
        self._html = self._environment(bodies, autoescape=True)
        self._text = self._environment(bodies, autoescape=False)
        self._template = lru_cache(maxsize=512)(self._load)
        self._subject_template = lru_cache(maxsize=512)(self._text.from_string)

    def _environment(self, bodies: Mapping[str, str], *, autoescape: bool) -> Environment:
        found = _Limited(loader=CachingDictLoader(dict(bodies)), autoescape=autoescape)
        for language in ("en", "fr"):
            self._add_filters(found, language)
        return found

    def _add_filters(self, environment: Environment, language: str) -> None:
        currency, zone = self.settings.store.currency, self.settings.timezone
        suffix = "" if language == "en" else f"_{language}"
        environment.add_filter(f"money{suffix}", lambda value: money_text(value, currency, language))
        environment.add_filter(f"day{suffix}", lambda value: day_text(value, zone, language))

    def _load(self, name: str, html: bool) -> Any:
        return (self._html if html else self._text).get_template(name)

    def _name(self, command: Command, kind: str) -> str:
        languages = dict.fromkeys((command.language, self.settings.language, "en"))
        for language in languages:
            name = f"{command.template}.{language}.{kind}"
            if name in self._heads:
                return name
        raise RenderError(f"the template {command.template} is missing in {', '.join(languages)}")

    def _fill(self, name: str, context: Mapping[str, Any]) -> str:
        try:
            filled: str = self._template(name, name.endswith(".html")).render(**context)
        except Exception as error:  # noqa: BLE001 - whatever a filter raises on one customer's data ends that command
            raise RenderError(f"{name}: {type(error).__name__}: {error}") from None
        return filled

    def render(self, command: Command, at: int) -> Message:
        """Return the message of a command; RenderError says which template failed and why."""
        email = self.settings.senders.email
        text_name, html_name = self._name(command, "txt"), self._name(command, "html")
        language = text_name.rsplit(".", 2)[1]
        # Nobody unsubscribes from the confirmation of an order.
        unsubscribe_url = email.unsubscribe_url if command.purpose == "marketing" else None
        context = {
            **command.data,
            "language": language,
            "store": {"name": self.settings.store.name, "url": self.settings.store.url},
            "unsubscribe_url": unsubscribe_url,
        }
        head = self._heads[text_name][0].get("subject") or self._heads[html_name][0].get("subject") or ""
        subject = self._subject(head, context)
        return Message(
            command=command.id,
            channel=command.channel,
            address=command.address,
            subject=subject,
            text=self._fill(text_name, {**context, "title": subject}),
            html=self._fill(html_name, {**context, "title": subject}),
            sender=email.sender,
            at=at,
            marketing=command.purpose == "marketing",
            reply_to=email.reply_to,
            unsubscribe_url=unsubscribe_url,
        )

    def _subject(self, text: str, context: Mapping[str, Any]) -> str:
        try:
            filled: str = self._subject_template(text).render(**context).strip()
        except Exception as error:  # noqa: BLE001 - as above
            raise RenderError(f"subject: {type(error).__name__}: {error}") from None
        if not filled:
            raise RenderError("subject: the template has none")
        if any(ord(char) < 32 for char in filled):
            raise RenderError("subject: a line break or another control character is refused")
        return filled
