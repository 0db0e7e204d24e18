"""Templates of a plan to a message of a channel, in the customer's language."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from liquid import Environment

from models.command import Command
from models.settings import SettingsSpec
from pipeline.durations import parse_duration
from pipeline.engine.local_time import zone_named
from pipeline.engine.plan import QuietHours
from pipeline.engine.quiet import end_of_quiet
from pipeline.mjml import is_part, to_html
from pipeline.scenario.compile import engine_settings, read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.scenario.templates import find_part
from pipeline.sending.catalogue import Goods, NoGoods, is_about_goods
from pipeline.sending.guards import Guard, guard_of
from pipeline.sending.json_template import Fill, compile_json
from pipeline.sending.links import Links
from pipeline.sending.outcome import Message
from pipeline.sending.suppressions import SOFT, SoftRule
from pipeline.sending.tracking import Tracker
from pipeline.templating import OUTPUT_BYTES_MAX, environment, split_head

# A text message is cut into parts of 70 or 153 letters; providers refuse more than ten of them.
SMS_LETTERS_MAX = 1_530


class RenderError(Exception):
    """A template is missing or fails for this customer; the text says which and why."""


def plain(address: str) -> str:
    """Return an address as two spellings of one are compared."""
    return address.strip().casefold()


class Renderer:
    """Renders the commands of one plan; with `links`, and a collector in the settings, messages lead back to it.

    What a message says of goods comes from the catalogue that `goods` has at that moment.
    """

    def __init__(self, sources: PlanSources, links: Links | None = None, goods: Goods | None = None):
        self.sources = sources
        self.links = links
        self.goods = goods or NoGoods()
        self._guards: dict[str, Guard] = {}
        self.settings: SettingsSpec = read_settings(sources)
        self._heads = {name: split_head(text) for name, text in sources.files.items() if not name.endswith(".yaml")}
        bodies = {name: body for name, (_, body) in self._heads.items()}
        bodies |= {name: to_html(name, bodies) for name in bodies if name.endswith(".mjml") and not is_part(name)}
        currency, zone = self.settings.store.currency, self.settings.timezone
        self._html: Environment = environment(bodies, currency, zone, autoescape=True)
        self._text: Environment = environment(bodies, currency, zone, autoescape=False)
        self._template = lru_cache(maxsize=512)(self._load)
        self._line_template = lru_cache(maxsize=512)(self._text.from_string)
        self._json_template = lru_cache(maxsize=512)(self._load_json)

    def guard(self, scenario: str) -> Guard:
        """Return what the plan says of how fast a scenario's messages go out."""
        if scenario not in self._guards:
            self._guards[scenario] = guard_of(self.sources, self.settings, scenario)
        return self._guards[scenario]

    @cached_property
    def only(self) -> frozenset[str] | None:
        """The addresses that a test mode can reach, None for no test mode."""
        mode = self.settings.test_mode
        return None if mode is None else frozenset(plain(one) for one in mode.only)

    @cached_property
    def soft_rule(self) -> SoftRule:
        """The number of soft bounces that is too many."""
        spec = self.settings.collector
        return SoftRule(spec.soft_bounces.count, parse_duration(spec.soft_bounces.within)) if spec else SOFT

    @cached_property
    def _quiet(self) -> QuietHours | None:
        return engine_settings(self.settings).quiet

    def is_quiet(self, command: Command, now: int) -> bool:
        """Say whether a time (UTC ms) lies in a command's quiet hours, by the customer's clock, else the store's."""
        quiet = self._quiet
        if quiet is None or command.purpose != "marketing":
            return False
        if quiet.channels and command.channel not in quiet.channels:
            return False
        zone = zone_named(command.timezone or self.settings.timezone) or zone_named("UTC")
        return zone is not None and end_of_quiet(quiet, now, zone) is not None

    def _load(self, name: str, html: bool) -> Any:
        return (self._html if html else self._text).get_template(name)

    def _load_json(self, name: str) -> Fill:
        return compile_json(self._heads[name][1], self._text.from_string)

    def _languages(self, command: Command) -> dict[str, None]:
        return dict.fromkeys((command.language, self.settings.language, "en"))

    def _part(self, command: Command, kind: str) -> tuple[str, str] | None:
        """Return the file of one part and its language."""
        return find_part(self._heads, command.template, command.channel, self._languages(command), kind)

    def _needed(self, command: Command, kind: str) -> tuple[str, str]:
        found = self._part(command, kind)
        if found is None:
            languages = ", ".join(self._languages(command))
            raise RenderError(f"the template {command.template} is missing in {languages} ({kind})")
        return found

    def _tracker(self, command: Command, at: int) -> Tracker | None:
        spec = self.settings.collector
        return None if spec is None or self.links is None else Tracker(spec, self.links, command, at)

    def _context(self, command: Command, language: str, at: int) -> dict[str, Any]:
        tracker = self._tracker(command, at)
        own_url = tracker.unsubscribe_url if tracker else self.settings.senders.email.unsubscribe_url
        return {
            **command.data,
            "language": language,
            "store": {"name": self.settings.store.name, "url": self.settings.store.url},
            # Nobody unsubscribes from the confirmation of an order.
            "unsubscribe_url": own_url if command.purpose == "marketing" else None,
            "preferences_url": tracker.preferences_url if tracker else None,
        }

    def render(self, command: Command, at: int) -> Message:
        """Return the message of a command; RenderError says which template failed and why."""
        catalogue = self.goods.now()
        filled = catalogue.fill(command, self.settings.store.currency)
        message = self._of_channel(filled, at)
        return replace(message, catalogue=catalogue.version) if is_about_goods(command) else message

    def _of_channel(self, command: Command, at: int) -> Message:
        match command.channel:
            case "email":
                return self._mail(command, at)
            case "sms":
                return self._sms(command, at)
            case "push":
                return self._note(command, at)
            case "web" if self._part(command, "json") is None and self._part(command, "txt") is not None:
                return self._note(command, at)
        return self._hook(command, at)

    def _message(self, command: Command, at: int, **more: Any) -> Message:
        tracker = self._tracker(command, at)
        return Message(
            command=command.id,
            channel=command.channel,
            address=command.address,
            at=at,
            marketing=command.purpose == "marketing",
            customer=command.customer,
            scenario=command.scenario,
            step=command.step,
            valid_until=command.valid_until,
            reference=tracker.reference if tracker else "",
            collector_url=tracker.base if tracker else "",
            **more,
        )

    def _mail(self, command: Command, at: int) -> Message:
        email = self.settings.senders.email
        text_name, language = self._needed(command, "txt")
        html_name, _ = self._needed(command, "html")
        context = self._context(command, language, at)
        head = self._heads[text_name][0].get("subject") or self._heads[html_name][0].get("subject") or ""
        subject = self._subject(head, context)
        preheader = self._line(self._heads[html_name][0].get("preheader", ""), context)
        html = self._fill(html_name, {**context, "title": subject, "preheader": preheader})
        tracker = self._tracker(command, at)
        return self._message(
            command,
            at,
            subject=subject,
            text=self._fill(text_name, {**context, "title": subject}),
            html=tracker.html(html) if tracker else html,
            sender=email.sender,
            reply_to=email.reply_to,
            unsubscribe_url=context["unsubscribe_url"],
        )

    def _sms(self, command: Command, at: int) -> Message:
        name, language = self._needed(command, "txt")
        text = self._fill(name, self._context(command, language, at)).strip()
        if not text:
            raise RenderError(f"{name}: nothing is left of it")
        if len(text) > SMS_LETTERS_MAX:
            raise RenderError(f"{name}: {len(text)} letters, a text message takes {SMS_LETTERS_MAX}")
        return self._message(command, at, text=text)

    def _note(self, command: Command, at: int) -> Message:
        """Return a message for a phone: a title, a body and what else its template says."""
        found = self._part(command, "json")
        if found is None:
            name, language = self._needed(command, "txt")
            context = self._context(command, language, at)
            title = self._subject(self._heads[name][0].get("subject", ""), context)
            payload = {"title": title, "body": self._fill(name, {**context, "title": title}).strip()}
        else:
            name, language = found
            payload = self._fill_json(name, self._context(command, language, at))
            wrong = [field for field in ("title", "body") if not isinstance(payload.get(field), str)]
            if wrong:
                raise RenderError(f"{name}: {' and '.join(wrong)} must be a text")
        return self._message(command, at, subject=payload["title"], text=payload["body"], payload=payload)

    def _hook(self, command: Command, at: int) -> Message:
        """Return a message for a machine or the store's page: its template, or the step's data as it is."""
        found = self._part(command, "json")
        payload = self._fill_json(found[0], self._context(command, found[1], at)) if found else dict(command.data)
        return self._message(command, at, payload=payload)

    def _fill(self, name: str, context: Mapping[str, Any]) -> str:
        try:
            filled: str = self._template(name, not name.endswith(".txt")).render(**context)
        except Exception as error:  # noqa: BLE001 - whatever a filter raises on one customer's data ends that command
            raise RenderError(f"{name}: {type(error).__name__}: {error}") from None
        return filled

    def _fill_json(self, name: str, context: Mapping[str, Any]) -> dict[str, Any]:
        try:
            filled = self._json_template(name)(context)
            size = len(json.dumps(filled))
        except Exception as error:  # noqa: BLE001 - as above
            raise RenderError(f"{name}: {type(error).__name__}: {error}") from None
        if size > OUTPUT_BYTES_MAX:
            raise RenderError(f"{name}: {size} bytes, a message takes {OUTPUT_BYTES_MAX}")
        if not isinstance(filled, dict):
            raise RenderError(f"{name}: it must be an object, in braces")
        return filled

    def _line(self, text: str, context: Mapping[str, Any]) -> str:
        try:
            filled: str = self._line_template(text).render(**context).strip()
        except Exception as error:  # noqa: BLE001 - as above
            raise RenderError(f"subject: {type(error).__name__}: {error}") from None
        return filled

    def _subject(self, text: str, context: Mapping[str, Any]) -> str:
        filled = self._line(text, context)
        if not filled:
            raise RenderError("subject: the template has none")
        if any(ord(char) < 32 for char in filled):
            raise RenderError("subject: a line break or another control character is refused")
        return filled
