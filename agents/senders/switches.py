"""What an operator paused or stopped, as the senders see it: followed on the topic `plans`, within a second."""

import asyncio

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka.control import SWITCHES, Switched
from agents.kafka.following import follow
from models.topics import Topics

ALL = "*"
_decoder = msgspec.json.Decoder(Switched)


class SwitchBoard:
    """A `pipeline.sending.protocol.Switches` that follows the topic from its beginning."""

    def __init__(self, bootstrap: str, topics: Topics):
        self._bootstrap = bootstrap
        self._place = TopicPartition(topics.plans, 0)
        self._states: dict[str, str] = {}
        self._channels: dict[str, str] = {}

    def paused(self, channel: str, scenario: str) -> bool:
        """Say whether commands of a scenario wait: of a stopped one too, until the engine has taken them back."""
        return channel in self._channels or scenario in self._states or ALL in self._states

    async def follow(self, known: asyncio.Event) -> None:
        """Follow until cancelled; `known` is set when all that stood there was read."""
        await follow(self._bootstrap, [self._place], self._take, known)

    def _take(self, record: ConsumerRecord) -> None:
        if record.key == SWITCHES and record.value is not None:
            said = _decoder.decode(record.value)
            self._states, self._channels = said.states, said.channels
