"""Mapping files as people write them: found by name or path, refused with the place."""

from pathlib import Path

import pytest

from models.event import Event
from pipeline.errors import PlanError, UsageError
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping, preset_names
from pipeline.intake.record import SourceRecord

GOOD = """\
mapping: shop
customer: user.id
time: {path: at, format: epoch_s}
events:
  - type: product_viewed
    fields: {product_id: sku}
"""


@pytest.mark.parametrize("name", preset_names())
def test_every_built_in_mapping_loads_and_gives_known_events(name: str) -> None:
    spec = load_mapping(name)
    assert spec.mapping == name
    Mapper(spec, name, validator_for("EUR"))


def test_an_unknown_mapping_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="'rees' does not exist; did you mean rees46"):
        load_mapping("rees")


def test_a_mapping_file_is_found_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(GOOD)
    assert load_mapping(str(tmp_path / "shop.yaml")).customer == "user.id"


def test_a_mapping_file_that_does_not_exist_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_mapping("nowhere/shop.yaml")


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("fields: {", "feelds: {", "6:5", "unknown field 'feelds'; did you mean fields?"),
        ("customer: user.id", "customer: user..id", "2:11", "'user..id' is no path"),
        ("customer: user.id\n", "", "1:1", "'customer' is missing"),
        ("product_id: sku", "product_id: {path: sku, const: x}", "6:26", "one of `path`, `const` and `content_id`"),
        ("type: product_viewed", "type: Product", "5:11", "'Product' is no name"),
        ("format: epoch_s}", "format: epoch_s", "4:7", "not YAML"),
        ("format: epoch_s}", "format: epoch}", "3:26", "'epoch' is no format: iso, epoch_s"),
        ("format: epoch_s}", "format: epoch_s, zone: Paris}", "3:41", "'Paris' is no time zone"),
    ],
)
def test_a_fault_in_a_mapping_file_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, place: str, words: str
) -> None:
    assert old in GOOD
    (tmp_path / "shop.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(PlanError) as refused:
        load_mapping(str(tmp_path / "shop.yaml"))
    assert any(str(problem).startswith(f"shop.yaml:{place}: ") for problem in refused.value.problems), str(
        refused.value
    )
    assert words in str(refused.value)


def test_the_example_of_the_reference_is_a_mapping_that_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/mappings.md").read_text()
    (tmp_path / "shop.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    mapper = Mapper(load_mapping(str(tmp_path / "shop.yaml")), "shop", validator_for("EUR"))
    value = b'{"action":"add","user":{"id":7},"at":"2024-01-01 00:00:00","number":1,"article":{"sku":"p","price":"2.5"},"client":1}'
    [found] = mapper.feed(SourceRecord(source="shop", offset=0, value=value))
    assert isinstance(found, Event)
    assert (found.customer, found.occurred_at) == ("7", 1_704_063_600_000)
    assert found.data == {"product_id": "p", "price": 250, "device": "phone", "brand": "own"}
