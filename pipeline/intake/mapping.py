"""Finds and reads mapping files."""

from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from models.mapping import EventSpec, FieldSpec, FileSpec, GroupSpec, MappingSpec, TimeSpec
from pipeline.errors import PlanError, UsageError
from pipeline.yaml_places import load_yaml, problems_of

PRESETS = Path(__file__).with_name("presets")
SPECS = (MappingSpec, EventSpec, GroupSpec, TimeSpec, FieldSpec, FileSpec)
KNOWN = tuple(name for spec in SPECS for name in spec.model_fields)


def preset_names() -> list[str]:
    """Return the names of the built-in mappings."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_mapping(name: str) -> MappingSpec:
    """Return a built-in mapping by name or one in a file; UsageError or PlanError says what is wrong and where."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else PRESETS / f"{name}.yaml"
    if not path.is_file():
        near = get_close_matches(name, preset_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(preset_names())}, or a file's path"
        raise UsageError(f"mapping {name!r} does not exist; {hint}")
    data, places = load_yaml(path.read_text(), path.name)
    try:
        return MappingSpec.model_validate(data)
    except ValidationError as error:
        raise PlanError(problems_of(error, places, KNOWN)) from None
