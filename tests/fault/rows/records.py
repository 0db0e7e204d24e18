"""Rows about what comes in: broken, doubled, in bursts, of one customer, and another version of the plan."""

import asyncio

from agents.kafka.control import activate
from agents.kafka.reading import KafkaReader
from tests.fault.deployment import now_ms
from tests.fault.nemesis import Injection, Nemesis, Row
from tests.fault.rows.kills import kill
from tests.fault.shop import Load


async def another(nemesis: Nemesis, what: str) -> Injection:
    """Wait until the shop has written one more record of a kind."""
    before = nemesis.shop(what)
    found = await nemesis.until(lambda: nemesis.shop(what) > before, f"another {what} record")
    done = Injection(f"a {what} record", void="" if found else f"no {what} record was written")
    done.healed_at = now_ms()
    return done


async def poison(nemesis: Nemesis) -> Injection:
    """A record that is nonsense."""
    return await another(nemesis, "poison")


async def doubled(nemesis: Nemesis) -> Injection:
    """Records that are written twice, now and then over a restart of the ingest that has read the first of them."""
    done = await another(nemesis, "doubled")
    if nemesis.number % 5 == 4:
        slot = nemesis.dice.choice(nemesis.named("ingest"))
        await nemesis.running(slot)
        where = await nemesis.trap(slot, "written", 30.0)
        done.what = f"a doubled record, and {slot} killed before it acknowledged"
        done.void = "" if where else f"{slot} wrote nothing"
        await kill(nemesis, slot)
        done.healed_at = now_ms()
    return done


async def edit(nemesis: Nemesis) -> Injection:
    """Bring the other version of the plan to those inside, and kill a worker while it is on its way."""
    deployment, number = nemesis.deployment, nemesis.number
    reader = KafkaReader(deployment.bootstrap, deployment.topics)
    progress = await asyncio.to_thread(reader.progress)
    version = deployment.plan(("two", "one")[number % 2])
    at = max(one.watermark for one in progress.values())
    done = Injection("another version of the plan")
    if not await activate(deployment.bootstrap, deployment.topics, version, at):
        done.void = "this version was live already"
    if number % 2:
        slot = nemesis.dice.choice(nemesis.named("journeys"))
        done.what += f", and {slot} killed"
        await kill(nemesis, slot)
    taken = await nemesis.until(
        lambda: asyncio.to_thread(lambda: {one.plan for one in reader.progress().values()} == {version.hash}),
        "every partition has the new plan",
    )
    done.void = done.void or ("" if taken else "the plan did not come to every partition")
    done.healed_at = now_ms()
    return done


async def wait(nemesis: Nemesis) -> Injection:
    """Nothing but the load itself."""
    await asyncio.sleep(2.0)
    return Injection("load", healed_at=now_ms())


ROWS = (
    Row("poison", "one record in a thousand is nonsense", poison, short=4, load=Load(rate=250, customers=1_500, poison=0.001)),
    Row("duplicates", "one record in twenty is written twice, within and across partitions and restarts", doubled, short=10, gap_s=(0.5, 2.0), load=Load(doubled=0.05)),
    Row("edit", "another version of the plan in mid-stream, and workers killed", edit, short=4, gap_s=(2.0, 5.0)),
    Row("hot", "one customer has half the traffic", wait, load=Load(hot=0.5)),
)  # fmt: skip
