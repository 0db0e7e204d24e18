"""`settings.yaml` as a person writes it."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from models.collecting import CollectorSpec
from models.insight import AttributionSpec, FunnelSpec, TouchpointSpec
from models.scenario import Brake, Channel, EventName, Name, Purpose, Share, Span, Text, TimeOfDay, Written
from models.senders import SendersSpec

# One step of a level: its name with its condition, `true` for the last that takes whoever is left.
LevelStep = Annotated[dict[Name, Text | bool], Field(min_length=1, max_length=1)]
FieldType = Literal["string", "int", "number", "bool", "money", "time", "date"]


def known_zone(name: str) -> str:
    """Return the name of a time zone; ValueError where there is none of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError):
        raise ValueError(f"{name!r} is no time zone: write it as in Europe/Paris") from None
    return name


class StoreSpec(Written):
    """The store: its name and address for templates, its currency for money."""

    name: str = "Store"
    url: str = ""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    rates: dict[str, Decimal] = {}


class KeepFree(Written):
    """Places that scenarios below a priority must leave."""

    priority: int
    count: Annotated[int, Field(ge=1)]


class CapSpec(Written):
    """At most so many messages in a rolling window."""

    channel: Channel | None = None
    purpose: Purpose | None = "marketing"
    at_most: Annotated[int, Field(ge=1, le=60)]
    per: Span
    keep_free_for: KeepFree | None = None


class HoldoutSpec(Written):
    """The share of customers who get no marketing, to compare with."""

    share: Share = "0%"
    salt: str = Field(default="", json_schema_extra={"type": ["string", "integer"]})

    @field_validator("salt", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        return str(value)


class QuietHoursSpec(Written):
    """When marketing waits, by the customer's clock; no channel named means all."""

    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    channels: list[Channel] = []


class ScoreSpec(Written):
    """Points for events, halved every `half_life`; without one they stay."""

    half_life: Span | None = None
    events: dict[EventName, Annotated[int, Field(ge=-10_000, le=10_000)]] = {}


class SilenceSpec(Written):
    """When nothing of a purpose, and on a channel where one is named, is sent."""

    purpose: Purpose = "marketing"
    channel: Channel | None = None
    when: Text


class TestModeSpec(Written):
    """Messages go to these addresses alone, whoever they are of; all others are rejected."""

    __test__ = False
    only: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)


class SettingsSpec(Written):
    """The whole settings file."""

    store: StoreSpec = StoreSpec()
    timezone: str = "UTC"
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"
    consent_default: Literal["none", "granted"] = "none"
    require_address: bool = True
    lateness_limit: Span = "1h"
    caps: list[CapSpec] = []
    holdout: HoldoutSpec = HoldoutSpec()
    quiet_hours: QuietHoursSpec | None = None
    attributes: dict[str, FieldType] = {}
    segments: dict[Name, Text] = {}
    levels: dict[Name, list[LevelStep]] = {}
    scores: dict[Name, ScoreSpec] = {}
    silence: list[SilenceSpec] = []
    events: dict[str, dict[str, FieldType]] = {}
    senders: SendersSpec = SendersSpec()
    collector: CollectorSpec | None = None
    brake: Brake | None = None  # of every scenario that names none
    test_mode: TestModeSpec | None = None
    touchpoints: list[TouchpointSpec] = []
    funnels: list[FunnelSpec] = []
    attribution: AttributionSpec = AttributionSpec()
    watch: list[Name] = []  # segments and levels that the console counts, though no scenario reads them
    targets: dict[str, Share] = {}  # scenario -> the share of those who enter that should reach its goal

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)
