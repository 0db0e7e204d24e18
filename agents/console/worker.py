"""`parcours worker console`: the console as a process of a cluster, over the read model that the projector keeps."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy import Engine

from agents.console.access import Access, read_console_settings
from agents.console.app import build_cluster
from agents.console.cluster_place import ClusterPlace
from agents.console.tokens import token_of
from models.topics import Topics
from pipeline.errors import RunError

log = structlog.get_logger()


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise RunError(f"the console cannot listen on {host}:{port}: {error.strerror}; name another --port") from None
    return listener


async def run(
    *,
    bootstrap: str,
    topics: Topics,
    engine: Engine,
    folder: Path,
    host: str,
    port: int,
    secure: bool,
    settings: Path | None = None,
    sources: Path | None = None,
    stop: asyncio.Event,
    announce: Callable[[Callable[[], bool]], None] = lambda _: None,
) -> None:
    """Serve until stopped. The folder holds the token and the key of the sessions; `secure`: cookies over TLS alone."""
    access = Access.of_folder(folder, read_console_settings(settings), secure=secure)
    token_of(folder)  # made now: whoever starts the console finds it there
    listener = _listening(host, port)
    app = build_cluster(ClusterPlace(engine, bootstrap, topics, sources), access)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    announce(lambda: server.started)
    task = asyncio.create_task(server._serve([listener]), name="console")
    log.info("console", host=host, port=listener.getsockname()[1], token_in=str(folder))
    try:
        waited = asyncio.create_task(stop.wait())
        await asyncio.wait({waited, task}, return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()
    finally:
        server.should_exit = True
        await asyncio.gather(task)
        listener.close()
        engine.dispose()
