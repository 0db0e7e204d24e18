"""The catalogue from the compacted topic `products`, followed by each sender process."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents import metrics
from agents.kafka import clients
from agents.kafka.tables import partition_count, whole_topic
from models.catalogue import Product, Ranking, list_named
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.sending.catalogue import NOTHING, Catalogue
from pipeline.sending.catalogue_rows import RowError, decode_row, encode_row

POLL_MS = 500
# A store without a catalogue may get one: its sender need not be restarted for that.
LOOK_S = 30.0
log = structlog.get_logger()


class TopicGoods:
    """A `pipeline.sending.catalogue.Goods` that follows the topic from its beginning.

    The version names how far it was read: `0:1234`, or `0:1234,1:99` of two partitions. A record that cannot be used is
    counted and logged by its place, and what was there before it stays.
    """

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._topic = topics.products
        self._places: dict[TopicPartition, int] = {}
        self._products: dict[str, Product] = {}
        self._lists: dict[str, dict[str, tuple[str, ...]]] = {"related": {}, "new": {}, "popular": {}}
        self._catalogue = NOTHING

    def now(self) -> Catalogue:
        """Return the catalogue as far as it was read."""
        return self._catalogue

    async def follow(self, known: asyncio.Event) -> None:
        """Follow until cancelled; `known` is set when all that stood there was read, or there is no such topic."""
        while not (count := await partition_count(self._bootstrap, self._topic)):
            known.set()
            await asyncio.sleep(LOOK_S)
        places = [TopicPartition(self._topic, number) for number in range(count)]
        reader = clients.consumer(self._bootstrap)
        await reader.start()
        try:
            await self._read(reader, places, known)
        finally:
            await reader.stop()

    async def _read(self, reader: AIOKafkaConsumer, places: list[TopicPartition], known: asyncio.Event) -> None:
        reader.assign(places)
        ends = await reader.end_offsets(places)
        for place, begin in (await reader.beginning_offsets(places)).items():
            reader.seek(place, begin)
        while True:
            if not known.is_set() and all([await reader.position(place) >= ends[place] for place in places]):
                known.set()
            fetched = await reader.getmany(*places, timeout_ms=POLL_MS)
            for place, records in fetched.items():
                for record in records:
                    self._take(place, record.offset, record.key, record.value)
                self._places[place] = records[-1].offset + 1
            if fetched:
                self._show()

    def _take(self, place: TopicPartition, offset: int, key: bytes | None, value: bytes | None) -> None:
        if value is None:
            self._drop((key or b"").decode(errors="replace"))
            return
        try:
            row = decode_row(value)
        except RowError as error:
            metrics.CATALOGUE_LEFT_OUT.inc()
            log.warning(
                "a row of the catalogue is left out", partition=place.partition, offset=offset, why=str(error)[:200]
            )
            return
        if isinstance(row, Product):
            self._products[row.product_id] = row
        else:
            self._lists[row.list][row.of] = row.products

    def _drop(self, key: str) -> None:
        """A tombstone's key is a product's id, or names a list."""
        kind, of = list_named(key)
        if kind in self._lists:
            self._lists[kind].pop(of, None)
        else:
            self._products.pop(key, None)

    def _show(self) -> None:
        # The same dictionaries under a new version: a message is rendered between two of these, never during one.
        version = ",".join(f"{place.partition}:{self._places[place]}" for place in sorted(self._places))
        self._catalogue = Catalogue(
            version, self._products, self._lists["related"], self._lists["new"], self._lists["popular"]
        )


async def publish(bootstrap: str, topics: Topics, rows: list[Product | Ranking]) -> None:
    """Write rows to the topic, and take away the lists that stand there and are no longer among them."""
    new = {row.product_id if isinstance(row, Product) else row.key: row for row in rows}
    old: dict[str, bool] = {}
    async for record in whole_topic(bootstrap, [topics.products]):
        key = (record.key or b"").decode(errors="replace")
        old[key] = record.value is not None and list_named(key)[0] != ""
    if not await partition_count(bootstrap, topics.products):
        raise UsageError(f"the topic {topics.products} does not exist: run `parcours topics apply` first")
    sender = clients.producer(bootstrap)
    await sender.start()
    try:
        gone: dict[str, bytes | None] = {key: None for key, there in old.items() if there and key not in new}
        values = gone | {key: encode_row(row) for key, row in new.items()}
        sent = [await sender.send(topics.products, value, key=key.encode()) for key, value in values.items()]
        await asyncio.gather(*sent)
    finally:
        await sender.stop()
