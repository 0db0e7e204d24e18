"""A scenario file as a person writes it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from models.event_types import DATE_REACHED

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
StepName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Span = Annotated[str, Field(pattern=r"^(\d+(ms|[smhdw]))+$")]
Offset = Annotated[str, Field(pattern=r"^[+-]?(\d+(ms|[smhdw]))+$")]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Share = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,2})?%$")]
Pace = Annotated[str, Field(pattern=r"^[1-9]\d{0,8}/[smhd]$")]
Brake = Annotated[str, Field(pattern=r"^[1-9]\d{0,8}/h$|^off$")]
IfPast = Literal["go_on", "skip_next", "exit"]
Channel = Literal["email", "sms", "push", "web", "webhook"]
Purpose = Literal["marketing", "transactional", "internal"]


def one_or_many(schema: dict[str, Any]) -> None:
    """Say in a field's JSON Schema what its validator takes: a list, or one alone."""
    schema["anyOf"] = [schema["items"], {"type": "array", "items": schema.pop("items")}]
    for name in ("type", "minItems"):
        if name in schema:
            schema["anyOf"][1][name] = schema.pop(name)


class Written(BaseModel):
    """What a person wrote: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AgainAfter(Written):
    """From how long after the last enrolment's end somebody may enter again."""

    after: Span


Every = Literal["day", "week", "month", "year"]
STATES = {
    "segment_entered": ("segment",), "segment_left": ("segment",), "level_fell": ("of",), "level_rose": ("of",),
    "score_reached": ("score", "at_least"),
}  # fmt: skip


class StateSpec(Written):
    """An event with what it is about, where it is a change of a segment, a level or a score."""

    segment: Name | None = None
    of: Name | None = None
    score: Name | None = None
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _about(self) -> "StateSpec":
        on = getattr(self, "on", None)
        wanted = STATES.get(on, ()) if isinstance(on, str) else ()
        missing = [name for name in wanted if getattr(self, name) is None]
        if missing:
            raise ValueError(f"`{on}` needs {' and '.join(f'`{name}`' for name in wanted)}")
        other = {"segment", "score", "at_least"} | ({"of"} if not str(on).startswith("message_") else set())
        for name in sorted(other - set(wanted)):
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` belongs to a change of a segment, level or score")
        return self


class DateSpec(Written):
    """A day of the customer's: once, or every year or month."""

    date: Text
    offset: Offset = "0d"
    time: TimeOfDay = "09:00"
    every: Literal["month", "year"] | None = None


class CalendarSpec(Written):
    """A day of the calendar."""

    every: Every
    month: Annotated[int, Field(ge=1, le=12)] | None = None
    day: Annotated[int, Field(ge=1, le=31)] | None = None
    weekday: Weekday | None = None
    time: TimeOfDay = "09:00"

    @model_validator(mode="after")
    def _wanted(self) -> "CalendarSpec":
        wanted = {"day": (), "week": ("weekday",), "month": ("day",), "year": ("month", "day")}[self.every]
        for name in ("month", "day", "weekday"):
            if (getattr(self, name) is not None) != (name in wanted):
                raise ValueError(f"every {self.every}: `{name}` is {'needed' if name in wanted else 'not'} here")
        return self


def _on_kind(on: Any) -> str:
    if isinstance(on, str):
        return "event"
    return "date" if isinstance(on, DateSpec) or (isinstance(on, dict) and "date" in on) else "calendar"


On = Annotated[
    Annotated[EventName, Tag("event")] | Annotated[DateSpec, Tag("date")] | Annotated[CalendarSpec, Tag("calendar")],
    Discriminator(_on_kind),
]


class EnterSpec(StateSpec):
    """One way in: an event, a date of the customer's, or a day of the calendar.

    `existing` says whether those who are in the segment or level already enter at activation. Dates that come again
    let in always, all else once, where `again` says nothing.
    """

    on: On
    existing: Literal["no", "yes", "spread"] = "no"
    when: Text | None = None
    unless: Text | None = None
    again: Literal["once", "always"] | AgainAfter | None = None
    per: Text | None = None
    name: Name = "entry"

    @property
    def event(self) -> str:
        """The type of the event that begins it."""
        return self.on if isinstance(self.on, str) else DATE_REACHED

    @model_validator(mode="after")
    def _existing(self) -> "EnterSpec":
        if self.existing != "no" and self.event not in STATES:
            raise ValueError("`existing` belongs to an entry on a segment, level or score")
        if self.existing != "no" and self.event.startswith("level_") and self.when is None:
            raise ValueError('`existing` of a level needs a `when`, as in when: event.to == "cold"')
        return self


class LimitSpec(Written):
    """This scenario's messages to one customer, in a rolling window."""

    at_most: Annotated[int, Field(ge=1, le=60)]
    per: Span


class ExitSpec(StateSpec):
    """One way out: an event, or a condition."""

    on: EventName | None = None
    where: Text | None = None
    when: Text | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ExitSpec":
        if (self.on is None) == (self.when is None):
            raise ValueError("an exit has either `on` (an event) or `when` (a condition)")
        if self.where is not None and self.on is None:
            raise ValueError("`where` belongs to `on`")
        return self


class GoalSpec(StateSpec):
    """What the scenario is for."""

    on: EventName
    within: Span
    where: Text | None = None
    value: Text | None = None


class WaitStep(Written):
    """Wait a duration from when the step before was done."""

    wait: Span
    restart_on: EventName | None = None
    at_most: Span | None = None


class BestHourSpec(Written):
    """The hour at which the customer opens and clicks most on a channel."""

    of: Channel
    within: Span = "24h"


class UntilSpec(Written):
    """A moment of the customer's local time: of the week, of a day, or the best hour."""

    time: TimeOfDay | None = None
    weekday: list[Weekday] = Field(default=[], json_schema_extra=one_or_many)
    day: Text | None = None
    offset: Offset | None = None
    best_hour: BestHourSpec | None = None
    if_past: IfPast | None = None

    @field_validator("weekday", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_kind(self) -> "UntilSpec":
        if self.best_hour is not None and (self.time or self.day or self.weekday):
            raise ValueError("`best_hour` stands alone: it has no `time`, `day` or `weekday`")
        if self.best_hour is None and self.time is None and self.day is None:
            raise ValueError("`until` has a `time`, a `day` or a `best_hour`")
        if self.offset is not None and self.day is None:
            raise ValueError("`offset` belongs to `day`")
        if self.weekday and self.time is None:
            raise ValueError("`weekday` needs a `time`")
        return self


class UntilStep(Written):
    """Wait until a moment of the customer's local time."""

    until: UntilSpec
    if_past: IfPast | None = None


class AlternativeSpec(StateSpec):
    """One thing to wait for, and the steps that follow it."""

    on: EventName | None = None
    where: Text | None = None
    when: Text | None = None
    keep_as: StepName | None = Field(default=None, alias="as")
    then: list["Step"] = []

    @model_validator(mode="after")
    def _one_kind(self) -> "AlternativeSpec":
        if (self.on is None) == (self.when is None):
            raise ValueError("an alternative has either `on` (an event) or `when` (a condition)")
        return self


class WaitForStep(Written):
    """Wait for the first of several things, or a time-out."""

    wait_for: list[AlternativeSpec] = Field(min_length=1)
    at_most: Span | None = None
    otherwise: list["Step"] = []
    since: Literal["entry"] | None = None


class SendStep(Written):
    """Emit a command."""

    send: StepName
    channel: Channel | None = None
    channels: list[Channel] = []
    template: str | None = None
    data: dict[str, Text] = Field(default={}, alias="with")
    purpose: Purpose | None = None
    require: list[Literal["in_stock"]] = []
    valid_for: Span = "24h"
    if_capped: Literal["skip", "exit", "wait"] = "skip"
    repeat_unknown: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> "SendStep":
        if (self.channel is None) == (not self.channels):
            raise ValueError("a send has either `channel` or `channels`")
        return self


class ArmSpec(Written):
    """One arm of a branch: `when` with `then`, or `otherwise`."""

    when: Text | None = None
    then: list["Step"] = []
    otherwise: list["Step"] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ArmSpec":
        if (self.when is None) == (self.otherwise is None):
            raise ValueError("an arm has either `when` and `then`, or `otherwise`")
        return self


class BranchStep(Written):
    """Go on at the first arm that holds."""

    branch: list[ArmSpec] = Field(min_length=1)


class PathSpec(Written):
    """One path of a split."""

    name: StepName
    share: Share
    then: list["Step"] = []


class SplitStep(Written):
    """A fixed random share of customers for each path."""

    split: StepName
    paths: list[PathSpec] = Field(min_length=2)


class SetStep(Written):
    """Write attributes of the customer."""

    set: dict[StepName, Text | bool | int] = Field(min_length=1)


class ScoreStep(Written):
    """Add points to scores of the customer."""

    score: dict[Name, Annotated[int, Field(ge=-10_000, le=10_000)]] = Field(min_length=1)


class StartStep(Written):
    """Enrol in another scenario too, by the same entry, and go on."""

    start: Name


class ExitStep(Written):
    """End the enrolment here."""

    exit: Text


STEP_KINDS = ("wait", "until", "wait_for", "send", "branch", "split", "set", "score", "start", "exit")


def _kind(step: Any) -> str | None:
    names = step if isinstance(step, dict) else type(step).model_fields if isinstance(step, BaseModel) else ()
    return next((kind for kind in STEP_KINDS if kind in names), None)


Step = Annotated[
    Annotated[WaitStep, Tag("wait")]
    | Annotated[UntilStep, Tag("until")]
    | Annotated[WaitForStep, Tag("wait_for")]
    | Annotated[SendStep, Tag("send")]
    | Annotated[BranchStep, Tag("branch")]
    | Annotated[SplitStep, Tag("split")]
    | Annotated[SetStep, Tag("set")]
    | Annotated[ScoreStep, Tag("score")]
    | Annotated[StartStep, Tag("start")]
    | Annotated[ExitStep, Tag("exit")],
    Discriminator(
        _kind,
        custom_error_type="unknown_step",
        custom_error_message=f"a step is one of {', '.join(STEP_KINDS)}",
    ),
]


class ScenarioSpec(Written):
    """A whole scenario file."""

    scenario: Name
    title: Text
    objective: Text | None = None
    purpose: Purpose
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    enter: list[EnterSpec] = Field(min_length=1, json_schema_extra=one_or_many)
    limit: LimitSpec | None = None
    holdout: Share | None = None
    exit: list[ExitSpec] = Field(default=[], json_schema_extra=one_or_many)
    goal: GoalSpec | None = None
    on_change: Literal["pin", "migrate", "drain"] = "pin"
    rate: Pace | None = None
    brake: Brake | None = None
    approve_first: Annotated[int, Field(ge=1, le=100_000)] | None = None
    steps: list[Step] = Field(min_length=1)

    @field_validator("enter", "exit", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value


for model in (AlternativeSpec, WaitForStep, ArmSpec, BranchStep, PathSpec, SplitStep, ScenarioSpec):
    model.model_rebuild()
