"""Serves the console beside the pipeline, in a thread of its own, on 127.0.0.1."""

import socket
import threading
from collections.abc import Callable

import structlog
import uvicorn
from sqlalchemy import Engine

from agents.console.access import Access
from agents.console.app import build
from agents.console.tokens import token_of
from agents.projector.database import migrate, open_database, sqlite_url
from agents.projector.embedded import AGAIN_S, FolderFeed, plans_of
from agents.projector.projector import Projector
from models.console import ConsoleSpec
from pipeline.errors import RunError
from pipeline.runtime.folder import Folder

HOST = "127.0.0.1"
log = structlog.get_logger()


def serve_in_thread(folder: Folder, port: int, settings: ConsoleSpec | None = None) -> tuple[str, Callable[[], None]]:
    """Start serving; return the address with its token, and a function that stops it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise RunError(f"port {port} on {HOST} is taken: name another with --console-port, or --no-console") from None
    listener.listen()
    engine = open_database(sqlite_url(folder.path))
    stop = threading.Event()
    ready = _migrated(engine)
    feed = FolderFeed(folder, Projector(engine, plans_of(folder)))
    projecting = threading.Thread(target=_follow, args=(engine, feed, stop, ready), name="projector", daemon=True)
    projecting.start()
    app = build(folder, engine, Access.of_folder(folder.path, settings))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="console", daemon=True)
    thread.start()

    def close() -> None:
        stop.set()
        server.should_exit = True
        thread.join(timeout=5)
        projecting.join(timeout=15)
        engine.dispose()
        listener.close()

    return f"http://{HOST}:{listener.getsockname()[1]}/?token={token_of(folder.path)}", close


def _migrated(engine: Engine) -> bool:
    """Bring the read model to this release; False where it cannot be asked: that stops no pipeline."""
    try:
        migrate(engine)
    except RunError as error:
        log.warning("the read model is away", cause=str(error))
        return False
    return True


def _follow(engine: Engine, feed: FolderFeed, stop: threading.Event, ready: bool) -> None:
    while not ready and not stop.wait(AGAIN_S):
        ready = _migrated(engine)
    feed.run(stop)
