"""A scenario file as a person writes it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
StepName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Span = Annotated[str, Field(pattern=r"^(\d+(ms|[smhdw]))+$")]
Offset = Annotated[str, Field(pattern=r"^[+-]?(\d+(ms|[smhdw]))+$")]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Share = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,2})?%$")]
IfPast = Literal["go_on", "skip_next", "exit"]
Channel = Literal["email", "sms", "push", "web", "webhook"]
Purpose = Literal["marketing", "transactional", "internal"]


class Written(BaseModel):
    """What a person wrote: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AgainAfter(Written):
    """From how long after the last enrolment's end somebody may enter again."""

    after: Span


class EnterSpec(Written):
    """One way in."""

    on: EventName
    when: Text | None = None
    unless: Text | None = None
    again: Literal["once", "always"] | AgainAfter = "once"
    per: Text | None = None
    name: Name = "entry"


class LimitSpec(Written):
    """This scenario's messages to one customer, in a rolling window."""

    at_most: Annotated[int, Field(ge=1, le=60)]
    per: Span


class ExitSpec(Written):
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


class GoalSpec(Written):
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
    weekday: list[Weekday] = []
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


class AlternativeSpec(Written):
    """One thing to wait for, and the steps that follow it."""

    on: EventName | None = None
    where: Text | None = None
    when: Text | None = None
    of: StepName | None = None
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


class StartStep(Written):
    """Enrol in another scenario too, by the same entry, and go on."""

    start: Name


class ExitStep(Written):
    """End the enrolment here."""

    exit: Text


STEP_KINDS = ("wait", "until", "wait_for", "send", "branch", "split", "start", "exit")


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
    enter: list[EnterSpec] = Field(min_length=1)
    limit: LimitSpec | None = None
    holdout: Share | None = None
    exit: list[ExitSpec] = []
    goal: GoalSpec | None = None
    on_change: Literal["pin", "migrate", "drain"] = "pin"
    steps: list[Step] = Field(min_length=1)

    @field_validator("enter", "exit", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value


for model in (AlternativeSpec, WaitForStep, ArmSpec, BranchStep, PathSpec, SplitStep, ScenarioSpec):
    model.model_rebuild()
