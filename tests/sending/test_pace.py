"""Mail goes to each domain, and from a new sender, no faster than the settings say."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from models.command import Command
from models.senders import EmailSpec, WarmUpSpec
from pipeline.scenario.sources import PlanSources
from pipeline.sending.lane import SenderLane
from pipeline.sending.pace import allowance
from pipeline.sending.render import Renderer
from pipeline.sending.stage import SenderStage
from tests.sending.build import HOUR, PLAN, FakeClock, FakeLog, FakeProvider, command, mark

DAY = 24 * HOUR
START = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)
STORE = PLAN.files["settings.yaml"]


class Post:
    """A lane whose plan has settings of mail, and a clock that is moved by hand."""

    def __init__(self, email: str, *batch: Command, partitions: int = 1, purpose: str = "marketing"):
        self.renderer = Renderer(PlanSources({**PLAN.files, "settings.yaml": f"{STORE}\nsenders: {{email: {email}}}"}))
        self.log, self.clock, self.provider = FakeLog(), FakeClock(START), FakeProvider()
        stage = SenderStage("email", self.provider, lambda _: self.renderer)
        self.lane = SenderLane(stage, self.log, self.clock, self.log.progress(), partitions=partitions)
        self.log.put(*batch)

    async def settle(self, passed_ms: int = 0) -> int:
        """Let time pass, and return how many mails have gone in all."""
        self.clock.pass_ms(passed_ms)
        self.log.put(mark(self.clock.wall))
        while await self.lane.round():
            pass
        return len(self.provider.calls)

    def gone_to(self, domain: str) -> int:
        return sum((call.address or "").endswith(domain) for call in self.provider.calls)


def mails(count: int, domain: str, first: int = 0, **more: Any) -> list[Command]:
    said = {"at": START, "valid_until": START + 90 * DAY} | more
    return [command(first + number, address=f"c{number}@{domain}", **said) for number in range(count)]


async def test_each_domain_has_its_pace_and_a_slow_one_holds_no_other() -> None:
    batch = [*mails(60, "slow.example"), *mails(30, "Quick.example", 100), *mails(30, "other.example", 200)]
    post = Post("{domains: {slow.example: 2, quick.example: 10}}", *batch)
    await post.settle()
    assert (post.gone_to("slow.example"), post.gone_to("Quick.example"), post.gone_to("other.example")) == (2, 10, 30)
    for _ in range(3):
        await post.settle(1_000)
    assert (post.gone_to("slow.example"), post.gone_to("Quick.example")) == (8, 30)


async def test_a_star_is_every_other_domain_each_for_itself() -> None:
    post = Post("{domains: {'*': 1}}", *mails(5, "a.example"), *mails(5, "b.example", 100))
    assert await post.settle() == 2
    assert await post.settle(1_000) == 4


async def test_partitions_share_the_pace_of_a_domain() -> None:
    post = Post("{domains: {a.example: 8}}", *mails(30, "a.example"), partitions=4)
    assert await post.settle() == 2
    assert await post.settle(1_000) == 4


async def test_after_a_pause_a_domain_gets_no_burst() -> None:
    post = Post("{domains: {a.example: 5}}", *mails(60, "a.example"))
    await post.settle()
    assert await post.settle(6 * HOUR) == 10


WARM = "{warm_up: {from: 2026-12-01, first_day: 48, growth_percent: 50, until: 200}}"


async def test_a_new_sender_spreads_the_first_day_s_mails_over_it_and_sends_more_each_day() -> None:
    post = Post(WARM, *mails(500, "a.example"))
    gone = [await post.settle()]
    for hour in range(72):
        gone.append(await post.settle(HOUR))
        assert gone[-1] - gone[-2] <= 1 + hour // 24 * 4, "a burst"
    assert 24 <= gone[24] <= 49


async def test_a_warm_up_holds_no_confirmation_and_counts_it() -> None:
    post = Post(WARM, *mails(40, "a.example", purpose="transactional"), *mails(10, "a.example", 100))
    assert await post.settle() == 40
    assert await post.settle(HOUR) == 40, "the confirmations were not counted"


@pytest.mark.parametrize(
    ("day", "allowed"), [(-5, 100), (0, 100), (1, 150), (2, 225), (3, 337), (4, None), (4_000, None)]
)
def test_the_days_grow_until_the_warm_up_is_over(day: int, allowed: int | None) -> None:
    spec = WarmUpSpec(since=date(2026, 12, 1), first_day=100, growth_percent=50, until=400)
    assert allowance(spec, START + day * DAY) == allowed


@pytest.mark.parametrize(
    "said",
    [
        {"domains": {"a.example": 0}},
        {"domains": {"a@b.example": 1}},
        {"warm_up": {"from": "soon", "first_day": 1, "until": 9}},
        {"warm_up": {"from": "2026-12-01", "first_day": 0, "until": 9}},
    ],
)
def test_what_is_no_pace_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmailSpec.model_validate(said)
