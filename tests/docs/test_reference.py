"""The reference names all that there is: fields, events, functions, commands."""

import re
from pathlib import Path

import pytest

from agents.cli.main import COMMANDS
from models.customer import CartItem, Profile
from models.event_types import PAYLOADS, Payload
from models.scenario import STATES, ScenarioSpec
from models.settings import CapSpec, HoldoutSpec, QuietHoursSpec, ScoreSpec, SettingsSpec, SilenceSpec, StoreSpec
from pipeline.scenario.expressions.functions import FUNCTIONS
from pipeline.scenario.expressions.values import COMPUTED
from pipeline.scenario.fields import fields_of
from pipeline.scenario.testing import CustomerSpec, ExpectSpec, TestSpec

REFERENCE = Path(__file__).parents[2] / "docs/reference"
LANGUAGE = (REFERENCE / "scenario-language.md").read_text()
# Counters of the profile's own, that nobody writes conditions on.
INNER = {"uncounted", "last_rating_at"}


def absent(names: list[str], text: str = LANGUAGE) -> list[str]:
    return [name for name in names if not re.search(rf"(?<![\w]){re.escape(name)}(?!\w)", text)]


SETTINGS = (CapSpec, HoldoutSpec, QuietHoursSpec, ScoreSpec, SilenceSpec, StoreSpec)


def test_every_field_that_a_person_may_write_is_in_the_language_s_page() -> None:
    assert absent(list(fields_of(ScenarioSpec, *SETTINGS, CustomerSpec, ExpectSpec, TestSpec))) == []
    # Providers, touchpoints and funnels have pages of their own.
    assert absent([field.alias or name for name, field in SettingsSpec.model_fields.items()]) == []


@pytest.mark.parametrize("name", sorted({*PAYLOADS, *STATES, "cart_changed", "session_ended"}))
def test_every_event_is_there_with_its_fields(name: str) -> None:
    section = LANGUAGE.partition("## Events\n")[2].partition("\n## ")[0]
    [row] = [line for line in section.splitlines() if line.startswith("|") and f"`{name}`" in line]
    payload = PAYLOADS.get(name)
    if payload is not None:
        own = set(payload.__struct_fields__) - set(Payload.__struct_fields__) - {"currency"}
        assert absent(sorted(own), row) == []


def test_every_function_and_every_field_of_the_profile_is_there() -> None:
    assert absent(sorted(FUNCTIONS)) == []
    assert (
        absent(sorted(({*Profile.__struct_fields__} - INNER) | COMPUTED.keys() | set(CartItem.__struct_fields__))) == []
    )


def test_every_command_has_its_line() -> None:
    text = (REFERENCE / "commands.md").read_text()
    assert absent(sorted(COMMANDS), text) == []
