"""On a cluster: a replay of the topics gives what two workers gave, with one killed in mid-transaction, byte for byte."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from agents.kafka.reading import KafkaReader
from agents.kafka.tables import whole_topic
from models.command import Command
from pipeline.replay.decided import counted
from pipeline.runtime.reading import command_view, iso
from tests.acceptance.running import REES46, parcours
from tests.broker.cluster import Cluster, wait_for
from tests.broker.test_end_to_end import END, OPEN, finished

pytestmark = [
    pytest.mark.broker,
    pytest.mark.data,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not REES46.exists(), reason=f"the real store data is not at {REES46}"),
]
EVENING, MIDDLE, SINCE = "2019-10-01T18:00:00Z", "2019-10-02T12:00:00Z", "2019-10-03T00:00:00Z"
PARTITIONS = 8
PAUSING = {"PARCOURS_TEST_PAUSE_IN_TRANSACTION_S": "25"}


def reached(cluster: Cluster, moment: str) -> bool:
    found = KafkaReader(cluster.bootstrap, cluster.topics).progress().values()
    return len(found) == PARTITIONS and {iso(one.watermark) for one in found} == {moment}


@pytest.fixture(scope="module")
def ran(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A week of a store through two workers, of which one is killed with a transaction open."""
    one = Cluster(kafka, tmp_path_factory.mktemp("cluster"), [{"name": "rees46", "mapping": "rees46"}], OPEN)
    try:
        one.topics_apply(PARTITIONS)
        one.run("produce", "--input", REES46, "--mapping", "rees46", "--topic", one.topic_of["rees46"])
        assert one.ingest("--clock", "records").wait(timeout=120) == 0, one.log_of("ingest")
        victim = one.journeys("a", env=PAUSING)
        markers = one.folder / "journeys-a"
        wait_for(lambda: list(markers.glob("in-transaction-*")), 40, "a transaction is open with all its records sent")
        victim.kill()
        victim.wait()
        one.journeys("b")
        one.journeys("c")
        for moment in (EVENING, MIDDLE):
            one.run("advance", "--to", moment, "--prefix", one.prefix)
            wait_for(lambda to=moment: reached(one, to), 120, "all partitions have come so far")
        one.run("advance", "--to", END, "--prefix", one.prefix)
        (one.folder / "under-way.json").write_text(json.dumps(said(one, "replay", "--verify")))
        wait_for(lambda: finished(one), 120, "the journal is read to its end")
        yield one
    finally:
        one.stop()


def said(cluster: Cluster, *words: str | Path) -> dict[str, Any]:
    out = cluster.run(*words, "--kafka", "--prefix", cluster.prefix, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_replay_of_the_topics_is_what_the_workers_wrote_byte_for_byte(ran: Cluster) -> None:
    verdict = said(ran, "replay", "--verify")
    assert verdict["differences"] == []
    assert verdict["compared"]["delivery"] == len(ran.rows("commands")) > 300
    assert verdict["compared"]["decisions"] == len(ran.rows("decisions"))
    assert verdict["compared"]["states"] == len(ran.customers())


def test_a_verification_while_the_workers_go_on_looks_at_what_they_had_decided(ran: Cluster) -> None:
    verdict = json.loads((ran.folder / "under-way.json").read_text())
    assert verdict["differences"] == []
    assert verdict["compared"]["decisions"] > 0


def test_a_backtest_of_the_live_plan_over_the_topics_sends_what_was_sent(ran: Cluster, tmp_path: Path) -> None:
    figures = said(ran, "backtest", "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "commands.jsonl").read_bytes().splitlines()
    found = [command_view(msgspec.to_builtins(msgspec.json.decode(line, type=Command))) for line in lines]
    live = sorted(ran.rows("commands"), key=lambda row: row["customer"].encode())
    assert sorted(found, key=lambda row: row["customer"].encode()) == live
    assert figures["sent"] == len(live)
    assert figures["exact"]["share"] == "100.0%"


def test_a_diff_of_the_live_plan_with_itself_over_the_topics_finds_nothing(ran: Cluster) -> None:
    settings = [word for key, value in OPEN.items() for word in ("--set", f"{key}={value}")]
    figures = said(ran, "diff", "--plan", "scenarios", *settings, "--fail-over", "0%")
    assert figures["changed"] == 0
    assert figures["messages"]["was"] == figures["messages"]["now"] == len(ran.rows("commands"))


def workers(cluster: Cluster) -> list[str]:
    return [word for slot in "bc" for word in ("--checkpoints", str(cluster.folder / f"journeys-{slot}"))]


async def commands_of(cluster: Cluster) -> dict[int, list[int]]:
    """Return the offsets of the commands of each partition."""
    found: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
    async for record in whole_topic(cluster.bootstrap, [cluster.topics.delivery]):
        if counted(record.value):
            found[record.partition].append(record.offset)
    return found


async def trim(cluster: Cluster, topic: str, before: dict[int, int]) -> None:
    """Let the retention of a topic pass over its beginning."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        places = {
            TopicPartition(topic, number): RecordsToDelete(before_offset=offset) for number, offset in before.items()
        }
        await admin.delete_records(places)
    finally:
        await admin.close()


def test_a_stretch_begins_at_the_workers_checkpoints_also_when_the_journals_beginning_is_gone(ran: Cluster) -> None:
    whole = said(ran, "backtest", "--from", SINCE)
    assert whole["sent"] > 50
    assert said(ran, "backtest", "--from", SINCE, *workers(ran)) == whole
    verified = said(ran, "replay", "--verify")["compared"]
    customer = max((row for row in ran.rows("commands")), key=lambda row: row["emitted_at"])["customer"]
    deep = said(ran, "explain", "--customer", customer, "--deep")
    near = ("explain", "--customer", customer, "--deep", "--from", SINCE, *workers(ran))
    assert [one.get("steps") for one in said(ran, *near)["passages"]] == [one.get("steps") for one in deep["passages"]]
    asyncio.run(trim(ran, ran.topics.journal, dict.fromkeys(range(PARTITIONS), 2)))
    words = ("--kafka", "--prefix", ran.prefix, "--bootstrap", ran.bootstrap, "--from", SINCE)
    refused = parcours("backtest", *words)
    assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
    assert "what was before it is no longer kept" in refused.stderr
    assert said(ran, "backtest", "--from", SINCE, *workers(ran)) == whole
    late = said(ran, "replay", "--verify", "--from", SINCE, *workers(ran))
    assert late["differences"] == []
    assert 0 < late["compared"]["decisions"] < verified["decisions"]
    assert late["compared"]["states"] == verified["states"]
    again = said(ran, *near)
    assert "differs" not in again  # what is false is not said
    assert [one["enrolment"] for one in again["passages"]] == [one["enrolment"] for one in deep["passages"]]


def test_a_verification_needs_of_delivery_what_is_younger_than_its_checkpoints_alone(ran: Cluster) -> None:
    offsets = asyncio.run(commands_of(ran))
    asyncio.run(trim(ran, ran.topics.delivery, {number: found[2] + 1 for number, found in offsets.items()}))
    refused = parcours("replay", "--verify", "--kafka", "--prefix", ran.prefix, "--bootstrap", ran.bootstrap)
    assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
    assert "the topic delivery no longer keeps the first records of partition" in refused.stderr
    late = said(ran, "replay", "--verify", "--from", SINCE, *workers(ran))
    assert late["differences"] == []
    assert late["compared"]["delivery"] > 0
