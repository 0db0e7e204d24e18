"""What all processes of the harness know of the deployment: written by the driver as a file, read by the others."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from models.topics import Topics
from pipeline.scenario.sources import PlanSources
from tests.sim.cluster import shop

PARTITIONS = 4
SOURCES = ("leads", "wins", "people")
DELAY = "1s"
TOKEN_ENV = "PARCOURS_TEST_TOKEN"
CALLS = "provider-calls"


@dataclass(frozen=True)
class Deployment:
    """One row's deployment. `control` is where the provider is told what to do, `keyed` whether it takes keys."""

    folder: str
    bootstrap: str
    prefix: str
    control: str
    provider: str
    keyed: bool
    seed: int

    @property
    def topics(self) -> Topics:
        """Return the names of the topics."""
        return Topics(self.prefix)

    @property
    def path(self) -> Path:
        """Return the folder of this row."""
        return Path(self.folder)

    @property
    def sources(self) -> dict[str, str]:
        """Return the topic of each source."""
        return {name: self.prefix + name for name in SOURCES}

    def save(self) -> None:
        """Write it for the other processes."""
        (self.path / "deployment.json").write_text(json.dumps(asdict(self)))

    @staticmethod
    def load(folder: Path) -> "Deployment":
        """Return the deployment of a folder."""
        return Deployment(**json.loads((folder / "deployment.json").read_text()))

    def plan(self, name: str) -> PlanSources:
        """Return one of the two versions of the plan: the simulator's, with a provider over HTTP."""
        kind, token = ("resend", "api_key") if self.keyed else ("postmark", "token")
        said = f"{{kind: {kind}, {token}: {{env: {TOKEN_ENV}}}, url: '{self.provider}', timeout_s: 5}}"
        files = dict(shop.plan(name).files)
        files["settings.yaml"] += f"senders: {{email: {{from: 'Shop <shop@shop.example>', provider: {said}}}}}\n"
        return PlanSources(files)


def now_ms() -> int:
    """Return the wall clock (UTC ms), which is the broker's too: it runs on this machine."""
    return time.time_ns() // 1_000_000
