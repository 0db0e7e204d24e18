"""Who is forgotten: their addresses as hashes, and a worker without the secret that goes on without them, and says so."""

from pathlib import Path
from typing import Any

from agents import metrics
from agents.journeys.lane import Lane, Place
from models.customer import Attribute, Cold, Customer
from models.progress import Progress
from models.topics import Topics
from pipeline.runtime.batch import Batch
from pipeline.runtime.erasing import erased, hashes
from pipeline.sending.links import Links
from tests.engine.build import T0, event

LINKS = Links(b"s" * 32)
KNOWN = Customer(
    id="c1",
    cold=Cold(
        attributes={
            "email": Attribute("Ann@shop.example", T0, "e"),
            "phone": Attribute("+33 600", T0, "e"),
            "city": Attribute("Lyon", T0, "e"),
        }
    ),
)


def test_every_address_leaves_its_keyed_hash_and_nothing_else() -> None:
    rows = hashes(erased(event("erasure_requested", T0 + 1), KNOWN), LINKS)
    wanted = [("email", "ann@shop.example"), ("sms", "+33600")]
    assert [(one.channel, one.address) for one in rows] == [
        (name, LINKS.address_hash(name, text)) for name, text in wanted
    ]
    assert {(one.kind, one.at) for one in rows} == {("erased", T0 + 1)}
    assert hashes(erased(event("erasure_requested", T0), None), LINKS) == []


async def test_a_worker_without_the_secret_forgets_all_the_same_and_counts_it(tmp_path: Path) -> None:
    batch = Batch(progress=Progress(journal="j", partitions=1, partition=0, lineage="l"))
    batch.erased.append(erased(event("erasure_requested", T0), KNOWN))
    said: dict[str, Any] = dict.fromkeys(("plans", "seek", "owned", "refresh", "note", "links"))
    lane = Lane(0, Place(bootstrap="", topics=Topics(), data=tmp_path, partitions=1, **said))
    before = metrics.UNSUPPRESSED._value.get()
    assert await lane._suppressed(batch) == []
    assert metrics.UNSUPPRESSED._value.get() == before + 1
