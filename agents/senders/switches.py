"""What an operator paused or stopped, as the senders see it: followed on the topic `plans`, within a second."""

import asyncio

import msgspec
from aiokafka import TopicPartition

from agents.kafka import clients
from agents.kafka.control import SWITCHES, Switched
from models.topics import Topics

POLL_MS = 500
ALL = "*"
_decoder = msgspec.json.Decoder(Switched)


class SwitchBoard:
    """A `pipeline.sending.protocol.Switches` that follows the topic from its beginning."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._place = TopicPartition(topics.plans, 0)
        self._states: dict[str, str] = {}

    def paused(self, channel: str, scenario: str) -> bool:
        """Say whether commands of a scenario wait: of a stopped one too, until the engine has taken them back."""
        return scenario in self._states or ALL in self._states

    async def follow(self, known: asyncio.Event) -> None:
        """Follow until cancelled; `known` is set when all that stood there was read."""
        reader = clients.consumer(self._bootstrap)
        await reader.start()
        try:
            reader.assign([self._place])
            end = (await reader.end_offsets([self._place]))[self._place]
            begin = (await reader.beginning_offsets([self._place]))[self._place]
            reader.seek(self._place, begin)
            while True:
                if await reader.position(self._place) >= end:
                    known.set()
                for record in (await reader.getmany(self._place, timeout_ms=POLL_MS)).get(self._place, []):
                    if record.key == SWITCHES and record.value is not None:
                        self._states = _decoder.decode(record.value).states
        finally:
            await reader.stop()
