"""What must hold at the end of a simulation: `tests.reference.chase_check` on what its topics hold."""

from tests.reference.chase_check import check
from tests.reference.evidence import Evidence
from tests.sim.cluster import shop
from tests.sim.cluster.world import TOPICS, World

# The mark counts by the newest arrival read, a producer's own time: up to this much before the broker has the record.
STAMP_MS = 700


def evidence(world: World) -> Evidence:
    """Return what a world's topics hold."""
    return Evidence(
        topics=TOPICS,
        partitions=shop.PARTITIONS,
        sources={name: name for name in shop.SOURCES},
        records=world.broker.committed,
        waits={world.plans[name]: both for name, both in shop.WAITS.items()},
        versions=world.versions,
        accepted=world.provider.accepted,
        keyed=world.provider.idempotent,
        stamp_ms=STAMP_MS,
    )


def differences(world: World) -> list[str]:
    """Return all that is not as it must be, in words; none where everything is."""
    found = [f"a worker ended: {error!r}" for error in world.failed]
    return found + [one.text for one in check(evidence(world))]
