"""An operator's word to an embedded run: taken once, in order, whatever happens in between."""

from pathlib import Path

from models.journal import ScenarioSwitched
from pipeline.runtime.operator import FOLDER, said, say


def switched(name: str, state: str) -> ScenarioSwitched:
    return ScenarioSwitched(id=f"{name} {state}", scenario=name, state=state, at=0)


def test_what_was_said_is_found_in_the_order_in_which_it_was_said(tmp_path: Path) -> None:
    wanted = [switched("cart", "paused" if number % 2 else "active") for number in range(12)]
    for one in wanted:
        say(tmp_path, one)
    assert [entry for _, entry in said(tmp_path)] == wanted


def test_nothing_was_said_to_a_new_folder(tmp_path: Path) -> None:
    assert said(tmp_path) == []


def test_a_file_that_is_no_record_is_put_aside_and_stops_nothing(tmp_path: Path) -> None:
    say(tmp_path, switched("cart", "paused"))
    (tmp_path / FOLDER / "7.json").write_text("{")
    assert [entry.scenario for _, entry in said(tmp_path)] == ["cart"]
    assert (tmp_path / FOLDER / "7.wrong").exists()
