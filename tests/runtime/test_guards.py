"""The guards in one process: by the log's own hours, the same after every stop; and what `held ls` says of them."""

from pathlib import Path

import pytest

from agents.cli.held import waiting
from models.command import Command, Release
from pipeline.runtime import carry
from pipeline.runtime.carry import EmbeddedSender
from pipeline.runtime.reading import DataFolder
from pipeline.scenario.sources import PlanSources
from pipeline.sending.outcome import Message
from pipeline.sending.render import Renderer
from pipeline.sending.stage import SenderStage
from tests.runtime.test_carry import Carrier, Killed, _dying
from tests.sending.build import HOUR, MINUTE, T0, FakeProvider, command
from tests.sending.test_brakes import plan


class Guarded(Carrier):
    """A data folder under a plan of its own."""

    def __init__(self, path: Path, sources: PlanSources, provider: FakeProvider | None = None):
        self.sources = sources
        super().__init__(path, provider)

    def open(self) -> None:
        renderer = Renderer(self.sources)
        stage = SenderStage("email", self.provider, lambda name: renderer)
        self.sender = EmbeddedSender(self.folder, {"email": stage}, lambda: False)

    def last(self, of: list[Command]) -> list[str]:
        return [self.states(one)[-1] for one in of]


def spread(count: int, first: int = 0, every: int = MINUTE) -> list[Command]:
    return [command(first + number, at=T0 + number * every) for number in range(count)]


def test_the_hour_is_that_of_the_log(tmp_path: Path) -> None:
    one = Guarded(tmp_path / "d", plan("brake: 3/h\n"))
    slow = spread(8, every=22 * MINUTE)
    one.put(*slow)
    one.sender.carry_out()
    assert one.last(slow) == ["sent"] * 8
    one.close()


def test_what_is_above_the_brake_waits_for_an_operator_and_goes_when_he_says_so(tmp_path: Path) -> None:
    one = Guarded(tmp_path / "d", plan("brake: 3/h\n"))
    first = spread(6)
    one.put(*first)
    one.sender.carry_out()
    assert one.last(first) == ["sent"] * 3 + ["held"] * 3
    one.put(Release(id="r", scenario="cart", cancel=False, at=T0 + HOUR))
    more = [command(20, at=T0 + HOUR), command(21, at=T0 + HOUR)]
    one.put(*more)
    one.sender.carry_out()
    assert one.last(first) == ["sent"] * 6
    assert one.last(more) == ["held"] * 2, "what was released counts"
    one.put(Release(id="s", scenario="cart", cancel=True, at=T0 + HOUR))
    one.sender.carry_out()
    assert one.last(more) == ["cancelled"] * 2
    one.close()


def test_the_first_of_a_version_are_approved_in_one_process_too(tmp_path: Path) -> None:
    one = Guarded(tmp_path / "d", plan("approve_first: 2\nbrake: off\n"))
    first, rest = spread(3), spread(3, first=10)
    one.put(*first)
    one.sender.carry_out()
    assert one.last(first) == ["held"] * 3
    one.put(Release(id="r", scenario="cart", cancel=False, at=T0 + HOUR), *rest)
    one.sender.carry_out()
    assert one.last([*first, *rest]) == ["sent"] * 6
    one.close()


def test_a_test_mode_holds_in_one_process_too(tmp_path: Path) -> None:
    one = Guarded(tmp_path / "d", plan(settings="test_mode: {only: [c1@shop.example]}"))
    one.put(*spread(3))
    one.sender.carry_out()
    assert one.last(spread(3)) == ["rejected", "sent", "rejected"]
    one.close()


@pytest.mark.parametrize("kill_at", range(10))
def test_a_kill_at_any_call_holds_what_an_undisturbed_run_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    monkeypatch.setattr(carry, "ROUND_MAX", 3)
    one = Guarded(tmp_path / "d", plan("brake: 5/h\n"), FakeProvider(idempotent=True))
    first = spread(9)
    one.put(
        *first, Release(id="r", scenario="cart", cancel=False, at=T0 + 9 * MINUTE), *spread(9, first=20, every=MINUTE)
    )
    left = kill_at

    def die(message: Message) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    monkeypatch.setattr(one.sender, "_call", _dying(one.sender._call, die))
    with pytest.raises(Killed):
        one.sender.carry_out()
    one.reopen()
    one.sender.carry_out()
    assert one.last(first) == ["sent"] * 9
    calm = Guarded(tmp_path / "calm", one.sources, FakeProvider(idempotent=True))
    calm.put(
        *first, Release(id="r", scenario="cart", cancel=False, at=T0 + 9 * MINUTE), *spread(9, first=20, every=MINUTE)
    )
    calm.sender.carry_out()
    everybody = [*first, *spread(9, first=20)]
    assert one.last(everybody) == calm.last(everybody)
    assert "held" in calm.last(everybody)
    calm.close()
    one.close()


def test_what_is_held_is_listed_until_it_goes(tmp_path: Path) -> None:
    one = Guarded(tmp_path / "d", plan("brake: 3/h\n"))
    one.put(*spread(5))
    one.sender.carry_out()
    held = waiting(DataFolder(one.folder).receipts())
    assert [(row["command"], row["state"]) for row in held] == [(two.id, "held") for two in spread(5)[3:]]
    one.put(Release(id="r", scenario="cart", cancel=False, at=T0 + HOUR))
    one.sender.carry_out()
    assert waiting(DataFolder(one.folder).receipts()) == []
    one.close()
