"""JSON Schemas of what a person writes, made from the models that read it: for editors, and for checks elsewhere.

They say the form of a file alone. Whether a name is known, an expression has its type or a template is there is for
`parcours check`.
"""

from typing import Any

from pydantic import TypeAdapter

from models.event_types import PAYLOADS, SESSION_ENDED
from models.mapping import MappingSpec
from models.scenario import STATES, ScenarioSpec
from models.settings import SettingsSpec
from pipeline.scenario.testing import TestSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Which file each is for, and what reads it.
FILES: dict[str, tuple[str, Any]] = {
    "scenario": ("*/scenario.yaml", ScenarioSpec),
    "settings": ("settings.yaml", SettingsSpec),
    "test": ("*/scenario.test.yaml", list[TestSpec]),
    "mapping": ("a mapping of your own", MappingSpec),
}
# The fields that name an event: an editor offers those that come with us, and takes any other.
EVENT_FIELDS = ("on", "restart_on")
EVENTS = sorted({*PAYLOADS, *STATES, "cart_changed", SESSION_ENDED})


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one kind of file (a name of FILES)."""
    pattern, kind = FILES[name]
    found: dict[str, Any] = TypeAdapter(kind).json_schema()
    _tidy(found)
    return {"$schema": DIALECT, **found, "title": f"Parcours: {pattern}"}


def _tidy(node: Any) -> None:
    """Take away the titles that repeat a field's name, and let editors offer the events that are known."""
    if isinstance(node, list):
        for one in node:
            _tidy(one)
        return
    if not isinstance(node, dict):
        return
    for name, field in node.get("properties", {}).items():
        field.pop("title", None)
        if name in EVENT_FIELDS:
            node["properties"][name] = {"anyOf": [{"enum": [*EVENTS, "start"]}, field]}
    for one in node.values():
        _tidy(one)
