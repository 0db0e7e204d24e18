"""Kafka clients with the settings that were measured to work; every default that is dangerous is set here.

How they log in and encrypt is the environment's to say: `agents.kafka.security`.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from agents.kafka.security import connection

BATCH_BYTES = 900_000
TRANSACTION_MS = 15_000
RETRY_MS = 20
REQUEST_MS = 10_000
FETCH_WAIT_MS = 50


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


async def drop(client: AIOKafkaProducer) -> None:
    """Let a producer go that may be in any state: what it had open is the successor's to end."""
    import asyncio

    try:
        await asyncio.wait_for(client.stop(), 2)
    except Exception:  # noqa: BLE001 - it is thrown away whatever it says; its id is fenced by the next start
        # `stop` waits for what can no longer be sent; without this its task would try for ever.
        await client._sender.close()
    await client.client.close()
