"""`parcours worker ingest`."""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka.errors import KafkaError

from agents.ingest.live import LiveIngest
from agents.ingest.records import History
from agents.ingest.sources import Source
from agents.kafka.control import activate, journal_partitions, write_to_all
from agents.kafka.tables import partition_count
from models.journal import Tick
from models.topics import Topics
from pipeline.intake.feedback import COLLECTED, FORWARDS, RECEIPTS
from pipeline.intake.mapping import load_mapping
from pipeline.intake.native import Validator
from pipeline.journal.records_clock import MERGED
from pipeline.scenario.sources import PlanSources

RESTART_S = 1.0
log = structlog.get_logger()


def feedback_sources(topics: Topics, validator: Validator) -> list[Source]:
    """Return our own streams that come back: they count for no watermark."""
    return [Source(name, topics.name(name), None, 0, validator, feedback=True) for name in (RECEIPTS, FORWARDS)]


def collected_source(topics: Topics, validator: Validator) -> Source:
    """Return what the collector heard: native records, which come from behind the engine too."""
    return Source(COLLECTED, topics.collected, load_mapping("native"), 0, validator, feedback=True)


async def _feedback(bootstrap: str, topics: Topics, validator: Validator) -> list[Source]:
    """Return our own streams, as far as their topics are there: an older deployment has none for the collector."""
    found = feedback_sources(topics, validator)
    if await partition_count(bootstrap, topics.collected):
        return [*found, collected_source(topics, validator)]
    log.warning("nothing is read of the collector", missing=topics.collected, to_have_it="parcours topics apply")
    return found


async def run_live(
    bootstrap: str, topics: Topics, sources: list[Source], stop: asyncio.Event, name: str = "ingest"
) -> None:
    """Do rounds until stopped; after any error of Kafka begin again from the committed offsets."""
    partitions = await journal_partitions(bootstrap, topics)
    while not stop.is_set():
        ingest = LiveIngest(bootstrap, topics, sources, partitions, name)
        try:
            await ingest.run(stop)
        except KafkaError as error:
            log.warning("ingest begins again", cause=type(error).__name__)
            await asyncio.sleep(RESTART_S)


async def run(
    *,
    bootstrap: str,
    topics: Topics,
    sources: list[Source],
    plan: PlanSources | None,
    clock: str,
    follow: bool,
    stop: asyncio.Event,
    announce: Callable[[Callable[[], bool]], None] = lambda _: None,
) -> None:
    """Run an ingest: history to its end (and then its feedback, with `follow`), or live until stopped."""
    partitions = await journal_partitions(bootstrap, topics)
    if plan is not None:
        await activate(bootstrap, topics, plan, at=0)
    announce(lambda: True)
    feedback = await _feedback(bootstrap, topics, sources[0].validator)
    if clock == "broker":
        await asyncio.gather(
            run_live(bootstrap, topics, sources, stop), run_live(bootstrap, topics, feedback, stop, "feedback")
        )
        return
    last = await History(bootstrap, topics, sources, partitions).run()
    log.info("history is read", last_ms=last)
    if follow:
        await run_live(bootstrap, topics, feedback, stop, "feedback")


async def advance(bootstrap: str, topics: Topics, to_ms: int) -> None:
    """Close a history: move every journal partition to a log time (UTC ms)."""
    from agents.kafka.control import HISTORY, history_state, put

    state = await history_state(bootstrap, topics)
    tick = Tick(source=MERGED, first=0, next=state.merged, before=to_ms)
    await write_to_all(bootstrap, topics, [tick], "advance")
    state.time = max(state.time, to_ms)
    state.ticked = {partition: to_ms for partition in state.ticked}
    import msgspec

    await put(bootstrap, topics, [(HISTORY, msgspec.json.encode(state))])
