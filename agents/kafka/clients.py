"""Kafka clients with the settings that were measured to work; every default that is dangerous is set here.

How they log in and encrypt is the environment's to say: `agents.kafka.security`.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from agents.kafka.security import connection

BATCH_BYTES = 900_000
TRANSACTION_MS = 15_000
RETRY_MS = 20
REQUEST_MS = 10_000
FETCH_WAIT_MS = 50
DROP_S = 2.0
CANCEL_AGAIN_S = 0.2


def consumer(bootstrap: str, *topics: str, group: str | None = None, **more: Any) -> AIOKafkaConsumer:
    """Return a consumer that sees committed records only, commits nothing by itself, and never guesses an offset."""
    said = {
        "bootstrap_servers": bootstrap,
        "group_id": group,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "retry_backoff_ms": 50,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "max_partition_fetch_bytes": 4 * 1024 * 1024,
        "metadata_max_age_ms": 5_000,
        **connection(),
        **more,
    }
    return AIOKafkaConsumer(*topics, **said)


def producer(bootstrap: str, *, transactional_id: str | None = None, **more: Any) -> AIOKafkaProducer:
    """Return an idempotent producer; a transactional one fences every earlier owner of its id when it starts."""
    said = {
        "bootstrap_servers": bootstrap,
        "enable_idempotence": True,
        "acks": "all",
        "compression_type": "lz4",
        "max_batch_size": BATCH_BYTES,
        "max_request_size": 4 * 1024 * 1024,
        "retry_backoff_ms": RETRY_MS,
        "request_timeout_ms": REQUEST_MS,
        **connection(),
        **more,
    }
    if transactional_id is not None:
        said |= {"transactional_id": transactional_id, "transaction_timeout_ms": TRANSACTION_MS}
    return AIOKafkaProducer(**said)


def admin(bootstrap: str) -> AIOKafkaAdminClient:
    """Return a client for topics, groups and their settings."""
    return AIOKafkaAdminClient(bootstrap_servers=bootstrap, **connection())


async def ended(task: "asyncio.Task[Any]") -> None:
    """End a task for good: what catches one cancellation on its way (aiokafka, `wait_for`) is told again."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
    if not task.cancelled():
        task.exception()  # whatever it is, it was on its way out


async def drop(client: AIOKafkaProducer) -> None:
    """Let a producer go that may be in any state: what it had open is the successor's to end."""
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait({stopping}, timeout=DROP_S)
    # `stop` waits for what can no longer be sent, and so does its routine: its requests would try for ever.
    await ended(stopping)
    if client._sender is not None and client._sender.sender_task is not None:
        await ended(client._sender.sender_task)
    await client.client.close()
