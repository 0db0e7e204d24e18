"""Rows about the provider: down, slow, in trouble."""

import asyncio

from tests.fault.deployment import now_ms
from tests.fault.nemesis import Injection, Nemesis, Row

MODES = ("down", "slow", "late", "busy", "cut", "broken")


async def trouble(nemesis: Nemesis) -> Injection:
    """The provider is in trouble for a while: of all calls, or of three in ten."""
    mode = MODES[nemesis.number % len(MODES)]
    share = 0.3 if mode in {"broken", "cut"} else 1.0
    for_s = nemesis.dice.choice((5.0, 8.0, 12.0))
    done = Injection(f"provider {mode} for {for_s:.0f} s")
    before = await nemesis.provider(mode, share)
    await asyncio.sleep(for_s)
    after = await nemesis.provider("ok")
    called = after.get(mode, 0) - before.get(mode, 0)
    done.facts = {"calls": called}
    if mode != "down" and not called:
        done.void = "nobody was called"
    done.healed_at = now_ms()
    return done


async def long_outage(nemesis: Nemesis) -> Injection:
    """The provider is down for ten minutes."""
    done = Injection("provider down for 600 s")
    await nemesis.provider("down")
    await asyncio.sleep(600.0)
    await nemesis.provider("ok")
    done.healed_at = now_ms()
    return done


ROWS = (
    Row("provider", "the provider down, slow, 429, 503, 30% cut off, 30% 5xx", trouble, short=6, gap_s=(1.0, 3.0)),
    Row("provider_outage", "the provider down for ten minutes", long_outage, full=1),
)
