"""Which plan a command means when none is named."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import UsageError

HERE = Path("scenarios")
# Beside the code in a checkout; in a container beside the process.
SHIPPED = next((one for one in (Path(__file__).parents[2] / HERE, HERE.absolute()) if (one / "shared").is_dir()), HERE)


def plan_folder() -> Path:
    """Return the folder `scenarios` beside the caller where it holds a plan, else the shipped one."""
    is_plan = (HERE / "settings.yaml").is_file() or any(HERE.glob("*/scenario.yaml"))
    return HERE if is_plan else SHIPPED


def known_scenario(name: str, known: Iterable[str], folder: Path) -> str:
    """Return the name of a scenario; UsageError where the plan has none of that name."""
    from pipeline.scenario.expressions.compile import nearest

    found = sorted(known)
    if name not in found:
        hint = nearest(name, found) or f"; there are {', '.join(found) or 'none'}"
        raise UsageError(f"{folder}: no scenario {name!r}{hint}")
    return name
