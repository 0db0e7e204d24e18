"""The console: pages over a pipeline, for whoever has a token or a login, each in their roles."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agents import metrics
from agents.console import health
from agents.console.access import Access
from agents.console.actions import Actions
from agents.console.audit import Audit, FileAudit, TableAudit
from agents.console.cluster_pages import ClusterPages
from agents.console.cluster_place import ClusterPlace
from agents.console.customer import CustomerPages
from agents.console.folder_place import FolderPlace
from agents.console.guard import Guard
from agents.console.insight import InsightPages
from agents.console.login import Login
from agents.console.model import ConsoleModel
from agents.console.oidc import oidc_of
from agents.console.operating import OperatingPages
from agents.console.view import View
from agents.projector import schema
from pipeline.runtime.folder import Folder

HERE = Path(__file__).parent


class FolderPages:
    """Pages that read the folder's streams."""

    def __init__(self, place: FolderPlace, view: View, engine: Engine):
        self._place = place
        self._engine = engine
        self._model = ConsoleModel(place.folder)
        self._view = view

    def routes(self) -> list[Route]:
        """Return the pages' routes."""
        return [
            Route("/", self.scenarios),
            Route("/messages", self.messages),
            Route("/health", self.health),
            Route("/metrics", self.measured),
        ]

    def scenarios(self, request: Request) -> Response:
        """Show every scenario with its counts."""
        self._model.refresh()
        return self._view.render(request, "scenarios.html", scenarios=self._model.scenarios())

    def messages(self, request: Request) -> Response:
        """Show the last messages."""
        self._model.refresh()
        return self._view.render(request, "messages.html", commands=list(self._model.last), states=self._model.state)

    def health(self, request: Request) -> Response:
        """Show what went in and what became of it."""
        found, folder = self._place.partitions(), self._place.folder
        try:
            with self._engine.connect() as connection:
                positions = connection.execute(select(schema.positions)).all()
        except SQLAlchemyError:
            return self._view.render(request, "away.html", status=503)
        return self._view.render(
            request, "health.html",
            ledger=self._model.ledger(),
            partitions=health.partitions(found, lambda _: folder.end("journal")),
            sources=health.sources(found),
            read_model=health.read_model(positions, lambda name, _: folder.end(name)),
            embedded=True,
        )  # fmt: skip

    def measured(self, request: Request) -> Response:
        """Answer Prometheus: in one process nobody else does."""
        self._model.refresh()
        metrics.set_ledger(self._model.ledger())
        metrics.WATERMARK.labels("0").set(self._model.reader().watermark() / 1000)
        return metrics.exposition()


def build(folder: Folder, engine: Engine, access: Access | None = None) -> Starlette:
    """Return the application over an open data folder and its read model."""
    place = FolderPlace(folder)
    view = View(place)
    pages = FolderPages(place, view, engine).routes()
    beside = [route for route in metrics.routes(lambda: True) if route.path != "/metrics"]
    return assemble(view, engine, access or Access.of_folder(folder.path), FileAudit(folder.path), [*pages, *beside])


def build_cluster(place: ClusterPlace, access: Access) -> Starlette:
    """Return the application over a cluster's read model; its process serves health and metrics elsewhere."""
    view = View(place)
    return assemble(view, place.engine, access, TableAudit(place.engine), ClusterPages(place, view).routes())


def assemble(view: View, engine: Engine, access: Access, audit: Audit, pages: Sequence[Route]) -> Starlette:
    """Return the application of pages that both hosts have, and of those that differ."""
    place, secret = view.place, access.secret
    provider = oidc_of(access, audit)
    login = Login(view, access.sessions, audit, provider=provider is not None)

    async def unknown(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return view.render(request, "said.html", status=status, title="There is no such page", text="")

    def away(request: Request, error: Exception) -> Response:
        return view.render(request, "away.html", status=503)

    return Starlette(
        routes=[
            *pages,
            *InsightPages(engine, view).routes(),
            *CustomerPages(engine, view, place).routes(),
            *OperatingPages(view, place, engine, audit, secret).routes(),
            *Actions(view, place, engine, audit, secret).routes(),
            *login.routes(),
            *(provider.routes() if provider else []),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard, sessions=access.sessions, login=login.page)],
        exception_handlers={404: unknown, SQLAlchemyError: away},
    )
