"""Serves the console beside the pipeline, in a thread of its own, on 127.0.0.1."""

import socket
import threading
from collections.abc import Callable

import uvicorn

from agents.console.app import build, token_of
from pipeline.errors import RunError
from pipeline.runtime.folder import Folder

HOST = "127.0.0.1"


def serve_in_thread(folder: Folder, port: int) -> tuple[str, Callable[[], None]]:
    """Start serving; return the address with its token, and a function that stops it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise RunError(f"port {port} on {HOST} is taken: name another with --console-port, or --no-console") from None
    listener.listen()
    app = build(folder)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="console", daemon=True)
    thread.start()

    def close() -> None:
        server.should_exit = True
        thread.join(timeout=5)
        listener.close()

    return f"http://{HOST}:{listener.getsockname()[1]}/?token={token_of(folder.path)}", close
