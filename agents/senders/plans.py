"""Renderers of the plans that commands name, from the compacted topic `plans`."""

import asyncio

from agents.kafka.control import read_plans
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.catalogue import Goods
from pipeline.sending.links import Links
from pipeline.sending.render import Renderer, RenderError

HASH_LENGTH = 32  # other keys of the topic are pointers


class PlanShelf:
    """Renderers by plan hash. Plans are acknowledged before they are activated: a command's plan is always there.

    With `links` messages lead back to the collector that a plan's settings name.
    """

    def __init__(self, bootstrap: str, topics: Topics, goods: Goods | None = None, links: Links | None = None):
        self._bootstrap = bootstrap
        self._goods = goods
        self._links = links
        self._topics = topics
        self._sources: dict[str, PlanSources] = {}
        self._renderers: dict[str, Renderer] = {}
        self._reading = asyncio.Lock()

    async def need(self, name: str) -> None:
        """Read a plan if it is not known yet; one that is not stored is known to be missing.

        UsageError where its messages lead to a collector and there is no secret: they would have no way out.
        """
        if name in self._sources:
            return
        async with self._reading:
            if name not in self._sources:
                for key, value in (await read_plans(self._bootstrap, self._topics)).items():
                    if len(key) == HASH_LENGTH and key.decode() not in self._sources:
                        self._sources[key.decode()] = self._checked(PlanSources.decode(value))

    def _checked(self, sources: PlanSources) -> PlanSources:
        if self._links is None and read_settings(sources).collector is not None:
            raise UsageError(
                "settings.yaml has a collector.url, and this sender no PARCOURS_SECRET (or PARCOURS_SECRET_FILE) to "
                "seal links with: give it the collector's"
            )
        return sources

    def renderer(self, name: str) -> Renderer:
        """Return the renderer of a plan that was needed before; RenderError where it is not stored."""
        if name not in self._sources:
            raise RenderError(f"the plan {name} is not in {self._topics.plans}: `parcours apply` its files again")
        if name not in self._renderers:
            self._renderers[name] = Renderer(self._sources[name], self._links, self._goods)
        return self._renderers[name]
