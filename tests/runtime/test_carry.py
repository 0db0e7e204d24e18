"""The sender of a data folder: what is held for an operator, let go, or taken up after a stop in the middle."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from rocksdict import WriteBatch

from models.command import Command, Release
from models.receipt import Receipt
from pipeline.runtime import carry
from pipeline.runtime.carry import EmbeddedSender
from pipeline.runtime.folder import Folder, meta_key, stream_key
from pipeline.runtime.sender_state import Aside
from pipeline.sending.outcome import Message
from pipeline.sending.render import Renderer
from pipeline.sending.stage import Ready, SenderStage
from tests.sending.build import HOUR, PLAN, T0, FakeProvider, command

LATER = T0 + HOUR
Call = Callable[[Ready], Awaitable[Receipt | None]]


class Killed(Exception):
    """The process is gone."""


class Carrier:
    """A data folder with commands on `delivery`, and a sender that can be killed and opened again."""

    def __init__(self, path: Path, provider: FakeProvider | None = None):
        self.folder = Folder(path)
        self.provider = provider or FakeProvider()
        self.end = 0
        self.open()

    def open(self) -> None:
        renderer = Renderer(PLAN)
        stage = SenderStage("email", self.provider, lambda name: renderer)
        self.sender = EmbeddedSender(self.folder, {"email": stage}, lambda: False)

    def reopen(self) -> None:
        self.sender.close()
        self.open()

    def put(self, *records: Command | Release) -> None:
        batch = WriteBatch(raw_mode=True)
        for record in records:
            batch.put(stream_key("delivery", self.end), msgspec.json.encode(record))
            self.end += 1
        self.folder.write(batch)

    def receipts(self) -> list[Receipt]:
        return [msgspec.json.decode(raw, type=Receipt) for _, raw in self.folder.scan("receipts")]

    def states(self, of: Command) -> list[str]:
        return [one.state for one in self.receipts() if one.command == of.id]

    def close(self) -> None:
        self.sender.close()
        self.folder.close()


def broken(number: int) -> Command:
    return command(number, template="cart/broken", data={"total": 1, "zero": 0})


@pytest.fixture
def braked(tmp_path: Path) -> Carrier:
    """Two of a hundred templates have failed: what follows of that scenario is held."""
    one = Carrier(tmp_path / "d")
    one.put(broken(200), broken(201), *[command(number) for number in range(98)])
    one.put(command(300), command(301, scenario="welcome"))
    one.sender.carry_out()
    return one


def test_over_1_percent_of_failing_templates_holds_the_scenario_alone(braked: Carrier) -> None:
    assert braked.states(command(300)) == ["held"]
    assert braked.states(command(301)) == ["intent", "sent"]
    braked.close()


def test_what_is_held_stays_held_over_a_restart_and_what_follows_is_held_too(braked: Carrier) -> None:
    braked.reopen()
    braked.put(command(302))
    braked.sender.carry_out()
    assert (braked.states(command(300)), braked.states(command(302))) == (["held"], ["held"])
    assert Aside(braked.folder).held() == [100, 102]
    braked.close()


def test_a_release_lets_what_is_held_go_at_its_own_time(braked: Carrier) -> None:
    braked.put(Release(id="r", scenario="cart", cancel=False, at=LATER), command(303))
    braked.sender.carry_out()
    assert braked.states(command(300)) == ["held", "intent", "sent"]
    assert braked.states(command(303)) == ["intent", "sent"]
    assert {one.at for one in braked.receipts() if one.command == command(300).id and one.state == "sent"} == {LATER}
    assert Aside(braked.folder).held() == []
    braked.close()


def test_what_is_released_too_late_is_not_sent(braked: Carrier) -> None:
    braked.put(Release(id="r", scenario="cart", cancel=False, at=T0 + 3 * HOUR))
    braked.sender.carry_out()
    assert braked.states(command(300)) == ["held", "expired"]
    braked.close()


def test_an_operator_drops_what_is_held_and_what_follows_goes(braked: Carrier) -> None:
    braked.put(Release(id="r", scenario="cart", cancel=True, at=LATER), command(303))
    braked.sender.carry_out()
    assert braked.states(command(300)) == ["held", "cancelled"]
    assert braked.states(command(303)) == ["intent", "sent"]
    braked.close()


def test_a_release_that_stands_there_twice_sends_nothing_twice(braked: Carrier) -> None:
    said = Release(id="r", scenario="cart", cancel=False, at=LATER)
    braked.put(said, said)
    braked.sender.carry_out()
    assert braked.states(command(300)) == ["held", "intent", "sent"]
    braked.close()


@pytest.mark.parametrize("kill_at", range(12))
def test_a_kill_at_any_call_after_a_release_loses_nothing_and_sends_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    monkeypatch.setattr(carry, "ROUND_MAX", 3)
    one = Carrier(tmp_path / "d", FakeProvider(idempotent=True))
    one.put(broken(200), broken(201), *[command(number) for number in range(98)], *map(command, range(300, 308)))
    one.sender.carry_out()
    one.put(Release(id="r", scenario="cart", cancel=False, at=LATER), *map(command, range(308, 312)))
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
    ends = Counter(one.command for one in one.receipts() if one.state in {"sent", "rejected"})
    assert set(ends.values()) == {1}
    assert len(ends) == 112
    assert Counter(one.state for one in one.receipts())["intent"] == 110
    one.close()


def _dying(call: Call, die: Callable[[Message], None]) -> Call:
    async def wrapped(ready: Ready) -> Receipt | None:
        die(ready.message)
        return await call(ready)

    return wrapped


def test_a_round_of_a_folder_that_an_earlier_release_wrote_is_gone_on_with(tmp_path: Path) -> None:
    one = Carrier(tmp_path / "d")
    one.put(*map(command, range(6)))
    batch = WriteBatch(raw_mode=True)
    batch.put(meta_key("sender"), msgspec.json.encode({"next": 0, "upto": 4, "done": [0, 2], "put_off": [1]}))
    one.folder.write(batch)
    one.reopen()
    one.sender.carry_out()
    assert [len(one.states(command(number))) for number in range(6)] == [0, 1, 0, 2, 2, 2]
    one.close()


def test_a_providers_rate_is_kept(tmp_path: Path) -> None:
    provider = FakeProvider(rate=50)
    one = Carrier(tmp_path / "d", provider)
    began = one.sender.clock.ticks()
    one.put(*map(command, range(60)))
    one.sender.carry_out()
    assert len(provider.calls) == 60
    # Fifty are there at once, ten come by the fiftieth of a second.
    assert one.sender.clock.ticks() - began >= 180
    one.close()
