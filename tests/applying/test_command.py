"""`parcours apply` on a data folder: it shows, asks, refuses, and the run hears of it; what was applied last stays."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.cli.main import parcours
from pipeline.errors import ParcoursError
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.operator import FOLDER
from pipeline.runtime.reading import DataFolder
from pipeline.scenario.sources import PlanSources
from tests.applying.test_preview import CART, SETTINGS, THANKS
from tests.sim.world import World, records

SHOP = [
    {"type": "cart_updated", "customer": f"c{number}", "items": [{"product_id": "p1", "price": 20}]}
    for number in range(3)
]


def folder(path: Path, settings: str = SETTINGS, **scenarios: str) -> Path:
    path.mkdir()
    (path / "settings.yaml").write_text(settings)
    for name, text in scenarios.items():
        (path / name).mkdir()
        (path / name / "scenario.yaml").write_text(text)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three customers with a cart, inside `cart`; no run is up."""
    plan = folder(tmp_path / "first", cart=CART)
    (tmp_path / "shop.ndjson").write_text(
        "".join(json.dumps({**one, "occurred_at": "2026-01-05T10:00:00Z"}) + "\n" for one in SHOP)
    )
    done = run(tmp_path / "data", plan)
    assert done.returncode == 0, done.stderr
    return tmp_path / "data"


def run(data: Path, plan: Path) -> "Said":
    shop = ("--input", data.parent / "shop.ndjson", "--mapping", "native", "--until-end", "--no-console")
    return said("run", "--data", data, "--plan", plan, *shop)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A run takes SIGINT and SIGTERM for itself: they are given back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@dataclass
class Said:
    """What a command of this process printed, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def said(*words: str | Path) -> Said:
    done = CliRunner().invoke(parcours, [str(word) for word in words])
    if isinstance(done.exception, ParcoursError):
        return Said(done.exception.exit_code, done.stdout, str(done.exception))
    return Said(done.exit_code, done.stdout, done.stderr)


def live(data: Path) -> list[str]:
    reader = DataFolder(data)
    try:
        plan = reader.plan()
        return [] if plan is None else sorted(plan.live)
    finally:
        reader.close()


def test_without_a_yes_nothing_is_changed_and_what_it_would_do_is_shown(data: Path, tmp_path: Path) -> None:
    draft = folder(tmp_path / "draft", thanks=THANKS)
    done = said("apply", draft, "--data", data)
    assert done.returncode == 2
    assert "nothing was changed: say --yes" in done.stderr
    assert "  removed: cart\n    3 inside version" in done.stdout and "  new: thanks\n" in done.stdout
    assert not (data / FOLDER).exists()
    assert run(data, tmp_path / "first").returncode == 0
    assert live(data) == ["cart"]


def test_a_yes_goes_to_the_next_run_and_what_was_applied_last_stays(data: Path, tmp_path: Path) -> None:
    draft = folder(tmp_path / "draft", cart=CART.replace("wait: 2d", "wait: 3d"), thanks=THANKS)
    done = said("apply", draft, "--data", data, "--yes")
    assert done.returncode == 0 and "goes to the run of" in done.stdout, done.stderr
    assert "3 inside version" in done.stdout and "stay on it" in done.stdout
    for _ in range(2):  # the second run is given the plan of the first again
        assert run(data, tmp_path / "first").returncode == 0
        assert live(data) == ["cart", "thanks"]
    assert said("apply", draft, "--data", data, "--yes").stdout == "this plan is live already\n"
    (tmp_path / "first" / "settings.yaml").write_text(SETTINGS + "language: fr\n")
    assert run(data, tmp_path / "first").returncode == 0
    assert live(data) == ["cart"], "a plan that was edited is given anew"


def test_a_name_that_somebody_inside_uses_is_refused_and_a_plan_with_a_fault_too(data: Path, tmp_path: Path) -> None:
    uses = CART.replace("enter:", 'exit: [{when: segment("spenders")}]\nenter:')
    using = folder(tmp_path / "using", cart=uses.replace("title: T", "title: T\non_change: migrate"))
    assert said("apply", using, "--data", data, "--yes").returncode == 0
    assert run(data, tmp_path / "first").returncode == 0
    without = folder(tmp_path / "without", SETTINGS.replace("  spenders: profile.spent >= 100\n", ""), cart=CART)
    done = said("apply", without, "--data", data, "--yes")
    assert done.returncode == 2
    assert "the segment 'spenders' is taken away, and 3 inside cart" in done.stderr
    wrong = folder(tmp_path / "wrong", cart=CART.replace("wait: 2d", "wait: soon"))
    done = said("apply", wrong, "--data", data, "--yes")
    assert done.returncode == 2 and "cart/scenario.yaml:6:11: wait:" in done.stderr
    assert not list((data / FOLDER).glob("*.json"))


def test_lint_warnings_are_printed_before_the_question(data: Path, tmp_path: Path) -> None:
    opens = THANKS.replace("on: order_placed, when: event.total >= 1", "on: message_opened, again: {after: 2d}")
    done = said("apply", folder(tmp_path / "draft", thanks=opens), "--data", data, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("thanks/scenario.yaml:5:13: ") and "warning: machines open mail too" in done.stdout


def test_a_run_that_is_up_hears_of_it_between_two_slices(tmp_path: Path) -> None:
    plan = PlanSources({"settings.yaml": SETTINGS, "cart/scenario.yaml": CART})
    world = World(tmp_path / "data", records(3, 40), plan)
    draft = folder(tmp_path / "draft", cart=CART, thanks=THANKS)
    refuses: list[str] = []
    options = world.options()
    options.refused = lambda plan: "refused/scenario.yaml" in plan.files and not refuses.append(plan.hash)  # type: ignore[func-returns-value]
    pipeline = EmbeddedPipeline.open(options)
    try:
        assert pipeline.step()
        done = said("apply", draft, "--data", world.data, "--yes")
        assert done.returncode == 0, done.stderr
        assert live_of(pipeline) == ["cart"]
        pipeline.step()
        assert live_of(pipeline) == ["cart", "thanks"]
        refused = folder(tmp_path / "refused", refused=CART.replace("scenario: cart", "scenario: refused"))
        assert said("apply", refused, "--data", world.data, "--yes").returncode == 0
        pipeline.step()
        assert live_of(pipeline) == ["cart", "thanks"] and len(refuses) == 1
        assert not list((world.data / FOLDER).glob("*.json"))
    finally:
        pipeline.close()


def live_of(pipeline: EmbeddedPipeline) -> list[str]:
    assert pipeline.partition.plan is not None
    return sorted(pipeline.partition.plan.live)
