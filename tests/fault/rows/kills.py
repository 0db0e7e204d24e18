"""Rows about workers: killed, frozen, joining and leaving."""

import asyncio
import signal

from tests.fault.deployment import now_ms
from tests.fault.nemesis import SESSION_S, WORKERS, Injection, Nemesis, Row

POINTS = {
    "journeys": ("begun", "sent", "flushed", "flushed", "committed", "stored"),
    "sender": ("intents", "called"),
    "ingest": ("written",),
}
# Where the records of the transaction are at the broker, and it is not yet committed.
OPEN_AT = frozenset({"flushed"})


async def kill(nemesis: Nemesis, slot: str) -> None:
    """Kill -9, and wait until the supervisor has started another."""
    old = nemesis.pid(slot)
    nemesis.signal(slot, signal.SIGKILL)
    await nemesis.until(lambda: nemesis.pid(slot) not in {None, old}, f"{slot} is started again")


async def kill_at_random(nemesis: Nemesis) -> Injection:
    """Kill a journeys worker at any moment; what was open is only noted."""
    slot = nemesis.dice.choice(nemesis.named("journeys"))
    if not await nemesis.running(slot):
        return Injection("kill", void=f"{slot} did not run")
    done = Injection(f"{slot} killed")
    await kill(nemesis, slot)
    done.healed_at = now_ms()
    return done


async def kill_at_a_point(nemesis: Nemesis, kind: str = "journeys") -> Injection:
    """Kill a worker at a named point of its commit; in the middle of one its transaction must be open."""
    slot, point = nemesis.dice.choice(nemesis.named(kind)), nemesis.dice.choice(POINTS[kind])
    await nemesis.running(slot)
    where = await nemesis.trap(slot, point, 30.0)
    if where is None:
        return Injection(f"{slot} at {point}", void=f"{slot} never came to {point}")
    changelog = nemesis.deployment.topics.changelog
    held = await nemesis.open_transactions(changelog) if kind == "journeys" else []
    done = Injection(f"{slot} killed at {point}", facts={"partition": where, "open": held})
    if point in OPEN_AT and int(where) not in held:
        done.void = f"no transaction was open in partition {where}"
    await kill(nemesis, slot)
    done.healed_at = now_ms()
    return done


async def kill_journeys(nemesis: Nemesis) -> Injection:
    """Two of three at a named point, the others at random."""
    if nemesis.number % 3 == 2:
        return await kill_at_random(nemesis)
    return await kill_at_a_point(nemesis)


async def kill_sender(nemesis: Nemesis) -> Injection:
    """Kill a sender between its intents and its calls, or between these and their outcomes."""
    return await kill_at_a_point(nemesis, "sender")


async def kill_ingest(nemesis: Nemesis) -> Injection:
    """Kill an ingest that has written what it has not yet acknowledged to its sources."""
    return await kill_at_a_point(nemesis, "ingest")


async def kill_all(nemesis: Nemesis) -> Injection:
    """Kill every worker of the deployment at one moment."""
    slots = [slot for slot in WORKERS if nemesis.pid(slot)]
    held = await nemesis.open_transactions(nemesis.deployment.topics.changelog)
    done = Injection("all workers killed", facts={"workers": len(slots), "open": held})
    if len(slots) < len(WORKERS):
        done.void = "not every worker ran"
    await asyncio.gather(*[kill(nemesis, slot) for slot in slots])
    done.healed_at = now_ms()
    return done


async def freeze_in_a_transaction(nemesis: Nemesis) -> Injection:
    """Freeze a worker in the middle of a transaction for three sessions; thawed, its commit must be refused."""
    slot = nemesis.dice.choice(nemesis.named("journeys"))
    await nemesis.running(slot)
    fenced = nemesis.logged(slot, "fenced")
    where = await nemesis.trap(slot, "flushed", 2.0)
    done = Injection(f"{slot} frozen in a transaction", facts={"partition": where})
    if where is None or not nemesis.signal(slot, signal.SIGSTOP):
        done.void = f"{slot} never came to a transaction"
        return done
    topic, partition = nemesis.deployment.topics.changelog, int(where)
    held = await nemesis.open_transactions(topic)
    stable = (await nemesis.ends(topic, "read_committed"))[partition]
    await asyncio.sleep(3 * SESSION_S)
    taken = await nemesis.until(lambda: nemesis.grown(topic, partition, stable), "another worker took over")
    nemesis.signal(slot, signal.SIGCONT)
    done.healed_at = now_ms()
    refused = await nemesis.until(lambda: nemesis.logged(slot, "fenced") > fenced, f"{slot} is fenced")
    if partition not in held:
        done.void = f"no transaction was open in partition {partition}"
    elif not taken or not refused:
        done.void = "nobody took over" if not taken else "the thawed worker was not fenced"
    return done


async def join_or_leave(nemesis: Nemesis) -> Injection:
    """A third worker joins, or leaves: mostly as an operator lets it, at times killed."""
    slot = "journeys-c"
    if slot in nemesis.named("journeys"):
        leaves = nemesis.dice.random() < 0.75
        done = Injection(f"{slot} {'leaves' if leaves else 'is killed, and comes back'}")
        if leaves:
            nemesis.want(slot, False)
            gone = await nemesis.until(lambda: nemesis.pid(slot) is None, f"{slot} has ended")
            done.void = "" if gone else f"{slot} did not end"
        else:
            await kill(nemesis, slot)
    else:
        done = Injection(f"{slot} joins")
        given = nemesis.logged(slot, "assigned")
        nemesis.want(slot, True)
        joined = await nemesis.until(lambda: nemesis.logged(slot, "assigned") > given, f"{slot} has partitions")
        done.void = "" if joined else f"{slot} was given nothing"
    done.healed_at = now_ms()
    return done


async def roll(nemesis: Nemesis) -> Injection:
    """Restart one worker after another, as a deployment of a new version does (SIGTERM)."""
    done = Injection("all workers restarted in turn")
    for slot in WORKERS:
        old = nemesis.pid(slot)
        nemesis.signal(slot, signal.SIGTERM)
        if not await nemesis.until(lambda old=old, slot=slot: nemesis.pid(slot) not in {None, old}, f"{slot} again"):
            done.void = f"{slot} did not come back"
        await asyncio.sleep(2.0)
    done.healed_at = now_ms()
    return done


ROWS = (
    Row("kill", "kill -9 of a journeys worker, at random and at named points of the commit", kill_journeys, short=6),
    Row(
        "zombie",
        "a journeys worker stopped in mid-transaction for three sessions, then let go: refused",
        freeze_in_a_transaction,
        short=2,
    ),
    Row(
        "rebalance",
        "a journeys worker joins or leaves every 5 s",
        join_or_leave,
        full=60,
        short=8,
        gap_s=(4.0, 5.0),
        spare=("journeys-c",),
    ),
    Row("kill_sender", "kill -9 of a sender between intent, call and outcome", kill_sender),
    Row("kill_ingest", "kill -9 of an ingest that has not acknowledged what it wrote", kill_ingest),
    Row("kill_all", "kill -9 of all workers together", kill_all, full=30, gap_s=(4.0, 8.0)),
    Row("rolling", "all workers restarted in turn by SIGTERM", roll),
)
