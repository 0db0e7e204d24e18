"""The source topics of a deployment, with their mappings compiled."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from models.mapping import MappingSpec
from models.sources import SourceSpec, SourcesSpec
from pipeline.durations import parse_duration
from pipeline.errors import PlanError, UsageError
from pipeline.intake.mapper import Mapper
from pipeline.intake.mapping import load_mapping
from pipeline.intake.native import Validator
from pipeline.yaml_places import load_yaml, problems_of


@dataclass(frozen=True)
class Source:
    """One source topic; `feedback` for our own streams that come back."""

    name: str
    topic: str
    spec: MappingSpec | None
    delay_ms: int
    validator: Validator
    feedback: bool = False

    def mapper(self) -> Mapper:
        """Return a fresh mapper for one partition."""
        assert self.spec is not None
        return Mapper(self.spec, self.name, self.validator)


def read_sources_file(path: Path) -> list[SourceSpec]:
    """Return the sources of a file; UsageError or PlanError says what is wrong and where."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; --sources names a list of topics")
    data, places = load_yaml(path.read_text(), path.name)
    try:
        return SourcesSpec.model_validate(data).sources
    except ValidationError as error:
        raise PlanError(problems_of(error, places, tuple(SourceSpec.model_fields))) from None


def open_sources(specs: list[SourceSpec], validator: Validator) -> list[Source]:
    """Return the sources with their mappings loaded."""
    return [
        Source(
            name=one.name,
            topic=one.topic or one.name,
            spec=load_mapping(one.mapping),
            delay_ms=parse_duration(one.delay),
            validator=validator,
        )
        for one in specs
    ]
