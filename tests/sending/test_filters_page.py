"""The page on sending says of the filters what they do."""

import re
from pathlib import Path

import pytest

from pipeline.scenario.sources import PlanSources
from pipeline.sending.render import Renderer
from tests.sending.build import PLAN, command

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sending.md").read_text()
ROWS = re.findall(r"^\| `(money\w*|day\w*)` \| (.+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_all_filters() -> None:
    assert [name for name, _ in ROWS] == ["money", "money_fr", "day", "day_fr"]


@pytest.mark.parametrize(("name", "said"), ROWS)
def test_a_filter_does_what_the_page_says(name: str, said: str) -> None:
    value = 102_000 if name.startswith("money") else 1_790_000_000_000
    body = f"---\nsubject: Hello\n---\n{{{{ value | {name} }}}}"
    sources = PlanSources({**PLAN.files, "cart/hello.en.txt": body})
    text = Renderer(sources).render(command(data={"value": value}), 0).text
    assert re.sub(r"\s", " ", text.strip()) == said
