"""`parcours suppressions`: what is held against an address is listed by its hash, and lifted by a word to the run."""

import json
from pathlib import Path

from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.embedded_options import EmbeddedOptions
from pipeline.sending import hearing
from pipeline.sending.links import About, links_of
from tests.acceptance.running import parcours
from tests.sending.build import PLAN, FakeProvider, command

ADDRESS = "c1@shop.example"


def options(folder: Path) -> EmbeddedOptions:
    return EmbeddedOptions(data=folder, plan=PLAN, inputs=lambda *_: [], provider=lambda *_: FakeProvider())


def bounce(pipeline: EmbeddedPipeline, name: str, *, permanent: bool) -> None:
    links = links_of(pipeline.folder.path)
    about = About(name, "c1", "email", "cart", "hello", "marketing", 1, links.address_hash("email", ADDRESS))
    pipeline.collected.put([hearing.bounced(about, 1, name, permanent=permanent)])


def test_what_is_held_against_an_address_is_listed_and_lifted(tmp_path: Path) -> None:
    data = tmp_path / "d"
    pipeline = EmbeddedPipeline.open(options(data))
    try:
        bounce(pipeline, "a", permanent=True)
        bounce(pipeline, "b", permanent=False)
        assert pipeline.collected.table.reason(command(1, purpose="transactional")) == "bounced"
    finally:
        pipeline.close()
    where = ("--data", str(data))
    rows = [json.loads(line) for line in parcours("suppressions", "ls", *where, "--json").stdout.splitlines()]
    assert sorted(row["kind"] for row in rows) == ["bounced", "soft"] and ADDRESS not in str(rows)
    assert parcours("suppressions", "ls", *where, "--address", "other@shop.example").stdout == "nothing is suppressed\n"
    assert parcours("suppressions", "lift", ADDRESS, *where).stdout == "lifted: bounced, soft\n"
    pipeline = EmbeddedPipeline.open(options(data))
    try:
        pipeline.step()
        assert len(pipeline.collected.table) == 0
    finally:
        pipeline.close()
    assert parcours("suppressions", "lift", ADDRESS, *where).stdout == "nothing is held against this address\n"


def test_without_the_secret_no_address_can_be_found(tmp_path: Path) -> None:
    done = parcours("suppressions", "lift", ADDRESS, "--kafka")
    assert done.returncode == 2 and "PARCOURS_SECRET" in done.stderr
