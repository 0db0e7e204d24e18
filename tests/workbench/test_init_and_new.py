"""A store's own folder and its first own scenario: made by a command, and right as they are."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.cli.folder import SHIPPED, plan_folder
from agents.cli.main import parcours as cli
from agents.cli.starting import _files
from pipeline.errors import UsageError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.copying import copy_scenario, renamed
from pipeline.scenario.sources import read_sources
from pipeline.scenario.testing import run_tests
from pipeline.yaml_places import load_yaml


def written_tests(name: str) -> list[object]:
    found: list[object] = load_yaml((SHIPPED / name / "scenario.test.yaml").read_text(), name)[0]
    return found


NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/scenario.yaml"))


def made(folder: Path) -> Path:
    done = CliRunner().invoke(cli, ["init", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder / "scenarios"


def test_a_new_folder_passes_check_and_test_as_it_is(tmp_path: Path) -> None:
    plan = made(tmp_path / "shop")
    compile_plan(read_sources(plan))
    results = run_tests(plan)
    assert len(results) >= 4
    assert [one.differences for one in results if one.differences] == []
    assert (tmp_path / "shop" / "sample-events.ndjson").read_text().count("\n") == 10


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    plan = made(tmp_path)
    changed = plan / "settings.yaml"
    changed.write_text("timezone: Asia/Tokyo\n")
    (plan / "cart-reminder" / "reminder.fr.txt").unlink()
    done = CliRunner().invoke(cli, ["init", str(tmp_path)], catch_exceptions=False)
    assert changed.read_text() == "timezone: Asia/Tokyo\n"
    assert f"left as it is  {changed}" in done.output
    assert f"written        {plan / 'cart-reminder' / 'reminder.fr.txt'}" in done.output
    assert done.output.count("written  ") == 1


def test_every_file_of_a_new_folder_has_a_source() -> None:
    assert all(source.is_file() for source in _files(Path("x")).values())


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_a_shipped_scenario_passes_check_and_its_tests(tmp_path: Path, name: str) -> None:
    plan = made(tmp_path)
    copy = copy_scenario(plan, [plan, SHIPPED], name, "my-own", None)
    compiled = compile_plan(read_sources(plan))
    assert compiled.live["my-own"].title == "My own"
    results = run_tests(plan, "my-own")
    assert results
    assert {one.name: one.differences for one in results if one.differences} == {}
    assert len(results) + len(copy.left_out) == len(written_tests(name))
    assert all(one not in compiled.live for strangers in copy.left_out.values() for one in strangers)


def test_a_test_beside_a_scenario_that_the_plan_has_comes_along(tmp_path: Path) -> None:
    plan = made(tmp_path)
    copy_scenario(plan, [SHIPPED], "welcome", "welcome", None)
    copy = copy_scenario(plan, [SHIPPED], "first-purchase", "mine", None)
    assert copy.left_out == {}
    assert (plan / "mine/scenario.test.yaml").read_text() == (SHIPPED / "first-purchase/scenario.test.yaml").read_text()


def test_the_name_is_changed_where_it_means_the_scenario_and_nowhere_else() -> None:
    text = """
      template: welcome/thanks        # a welcome word
      when: inside("welcome") || count_sent("welcome/thanks", "7d") > 0 || event.scenario == "welcome"
      where: event.query == "welcome" && inside("welcome-back")
      - {at: "10:00", event: message_clicked, scenario: welcome, step: thanks}
      {% include 'welcome/part.txt' %} <mj-include path="welcome/part.mjml" />
    """
    assert (
        renamed(text, "welcome", "hello")
        == """
      template: hello/thanks        # a welcome word
      when: inside("hello") || count_sent("hello/thanks", "7d") > 0 || event.scenario == "hello"
      where: event.query == "welcome" && inside("welcome-back")
      - {at: "10:00", event: message_clicked, scenario: hello, step: thanks}
      {% include 'hello/part.txt' %} <mj-include path="hello/part.mjml" />
    """
    )


def test_a_title_is_what_was_said_whatever_yaml_would_make_of_it(tmp_path: Path) -> None:
    plan = made(tmp_path)
    copy_scenario(plan, [plan], "cart-reminder", "second", 'Carts: the "big" ones # \\1')
    assert compile_plan(read_sources(plan)).live["second"].title == 'Carts: the "big" ones # \\1'


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("abandoned-card", "mine", "no scenario 'abandoned-card' to copy; did you mean abandoned-cart?"),
        ("abandoned-cart", "Mine!", "'Mine!' is no name"),
        ("abandoned-cart", "cart-reminder", "is there already: choose another name"),
    ],
)
def test_what_cannot_be_copied_is_refused_and_nothing_is_written(
    tmp_path: Path, source: str, name: str, said: str
) -> None:
    plan = made(tmp_path)
    before = sorted(plan.rglob("*"))
    with pytest.raises(UsageError, match=said):
        copy_scenario(plan, [plan, SHIPPED], source, name, None)
    assert sorted(plan.rglob("*")) == before


def test_a_copy_that_this_plan_would_refuse_says_what_it_needs_and_writes_nothing(tmp_path: Path) -> None:
    plan, other = made(tmp_path), tmp_path / "other" / "keen"
    other.mkdir(parents=True)
    (other / "scenario.yaml").write_text(
        "scenario: keen\ntitle: Keen\npurpose: internal\nenter: {on: segment_entered, segment: keen}\n"
        "steps: [{send: a, channel: web}]\n"
    )
    with pytest.raises(UsageError, match="unknown segment 'keen'"):
        copy_scenario(plan, [other.parent], "keen", "mine", None)
    assert not (plan / "mine").exists()


def test_without_a_folder_the_plan_is_scenarios_here_else_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan_folder() == SHIPPED
    made(tmp_path)
    assert plan_folder() == Path("scenarios")
