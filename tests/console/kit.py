"""A console over a data folder, asked without a browser: who signs in, what a form carries."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import Engine

from agents.cli.folder import SHIPPED
from agents.console.access import Access
from agents.console.app import build
from agents.console.tokens import TokenBook
from agents.projector.database import migrate, open_database, sqlite_url
from agents.projector.embedded import FolderFeed, plans_of
from agents.projector.projector import Projector
from pipeline.runtime.folder import Folder
from tests.acceptance.running import parcours

ALLOWED = ("--set", "consent_default=granted", "--set", "require_address=false")


def run_history(folder: Path, lines: str, settings: str = "") -> None:
    """Run the pipeline over a few native events; `settings` stand behind the shipped ones."""
    rows, plan = folder / "shop.ndjson", folder / "plan"
    rows.write_text(lines)
    # One scenario of the shipped ones: a plan of twelve takes seconds to compile.
    for part in ("shared", "abandoned-cart"):
        shutil.copytree(SHIPPED / part, plan / part, dirs_exist_ok=True)
    (plan / "settings.yaml").write_text((SHIPPED / "settings.yaml").read_text() + settings)
    done = parcours(
        "run", "--plan", plan, "--data", folder / "d", "--input", rows, "--mapping", "native", "--until-end", 
        "--no-console", *ALLOWED,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@dataclass
class Desk:
    """An open folder with its console."""

    folder: Folder
    engine: Engine
    app: Any
    base: str
    browsers: ExitStack

    def project(self) -> None:
        """Bring the read model up to the folder."""
        feed = FolderFeed(self.folder, Projector(self.engine, plans_of(self.folder)))
        while feed.step():
            pass

    def nobody(self) -> httpx.Client:
        """Return a browser without a session."""
        one = httpx.Client(base_url=self.base, follow_redirects=False, trust_env=False)
        return self.browsers.enter_context(one)

    def person(self, *roles: str) -> httpx.Client:
        """Return a browser that is signed in with roles; the folder's own token without any."""
        book = TokenBook(self.folder.path)
        own = (self.folder.path / "console.token").read_text()
        token = book.add(f"somebody {len(book.names())}", frozenset(roles)) if roles else own
        browser = self.nobody()
        assert browser.post("/login", data={"token": token}).status_code == 303
        return browser


def mark_of(browser: httpx.Client, path: str = "/control") -> str:
    """Return the mark that this session's forms carry."""
    found = re.search(r'name="mark" value="([0-9a-f]+)"', browser.get(path).text)
    assert found is not None
    return found[1]


def do(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form of this session."""
    return browser.post(
        path, data={"mark": mark_of(browser), **fields}, headers={"origin": str(browser.base_url).rstrip("/")}
    )


@contextmanager
def opened(folder: Path) -> Iterator[Desk]:
    """Open a data folder with its console."""
    here = Folder(folder)
    engine = open_database(sqlite_url(folder))
    migrate(engine)
    try:
        app = build(here, engine, Access.of_folder(folder))
        with serving(app) as base, ExitStack() as browsers:
            desk = Desk(here, engine, app, base, browsers)
            desk.project()
            yield desk
    finally:
        engine.dispose()
        here.close()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on a free port; yield its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=10)
