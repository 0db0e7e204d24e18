"""Rows about the broker: killed and started again, frozen."""

import asyncio
import os
import signal

from tests.fault.deployment import now_ms
from tests.fault.nemesis import Injection, Nemesis, Row


async def bounce(nemesis: Nemesis, down_s: float = 5.0) -> Injection:
    """Kill -9 the broker while the workers are at work, and start it again."""
    held = await nemesis.open_transactions(nemesis.deployment.topics.changelog)
    done = Injection(f"broker killed, down {down_s:.0f} s", facts={"open": held}, flowing=False)
    await nemesis.kill_broker(down_s)
    done.healed_at = now_ms()
    topic = nemesis.deployment.topics.changelog
    ends = await nemesis.ends(topic, "read_committed")
    for partition, end in ends.items():
        moved = await nemesis.until(lambda p=partition, e=end: nemesis.grown(topic, p, e), "commits go on")
        if not moved:
            done.void = f"partition {partition} did not go on"
    return done


async def long_outage(nemesis: Nemesis) -> Injection:
    """The broker is away for longer than any transaction may take."""
    return await bounce(nemesis, 70.0)


async def freeze(nemesis: Nemesis) -> Injection:
    """Freeze the broker for 5, 20 or 60 s."""
    for_s = (5.0, 20.0, 60.0)[nemesis.number % 3]
    done = Injection(f"broker frozen {for_s:.0f} s", flowing=False)
    pid = nemesis.broker_pid()
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(for_s)
    os.kill(pid, signal.SIGCONT)
    done.healed_at = now_ms()
    return done


ROWS = (
    Row("broker_bounce", "kill -9 of the broker, back after 5 s", bounce, short=2, gap_s=(3.0, 8.0)),
    Row("broker_outage", "kill -9 of the broker, back after 70 s", long_outage, full=3, gap_s=(3.0, 8.0)),
    Row("broker_frozen", "the broker frozen for 5, 20 and 60 s", freeze, full=6, gap_s=(5.0, 10.0)),
)
