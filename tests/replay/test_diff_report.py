"""The reports of a comparison need nothing else, and nothing that a store or its customers wrote acts in them."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RunError
from pipeline.replay.report import charts
from pipeline.replay.report.markdown import code, diff_markdown
from pipeline.replay.report.page import diff_page
from pipeline.replay.report.writing import write_whole

EVIL = "<script>alert('x')</script>`@team` | ![i](https://evil.example/i.png) &amp; \" onload=\"x"
EXACT = {"messages": 1, "supposed": {EVIL: 3}, "share": "25.0%", "reactions_left_out": 0}
GUARD = {
    "place": EVIL,
    "source": EVIL,
    "at": "2026-01-01T00:00:00Z",
    "held": None,
    "values": {EVIL: EVIL},
    "alone": True,
}
MESSAGE = {"channel": EVIL, "due_at": "2026-01-01T00:00:00Z", "template": EVIL, "data": {EVIL: EVIL}}


def figures(**more: Any) -> dict[str, Any]:
    example = {
        "customer": EVIL, "command": "c1", "due_at": "2026-01-01T00:00:00Z", "event": "e1", "reason": EVIL, "why": EVIL,
        "fields": [], "was": MESSAGE, "now": None, "conditions": {"was": [], "now": [GUARD]},
    }  # fmt: skip
    change = {
        "kind": "disappears",
        "scenario": "a",
        "step": EVIL,
        "count": 7,
        "reasons": {EVIL: 7},
        "examples": [example],
    }
    return {
        "live": "l", "draft": "d", "until": "2026-01-02T00:00:00Z", "events": 1234, "messages": {"was": 10, "now": 3},
        "changed": 7, "share": "70.0%", "limit": "5%", "failed": True,
        "kinds": {"appears": 0, "disappears": 7, "moves": 0, "changes": 0},
        "customers": {"any": 5, "appears": 0, "disappears": 5, "moves": 0, "changes": 0},
        "steps": [{"scenario": "a", "step": EVIL, "was": 10, "now": 3}],
        "days": [{"day": "2026-01-01", "was": 10, "now": 3}], "changes": [change], "texts": [EVIL],
        "settings": {"was": {EVIL: EVIL}, "now": {}}, "exact": {"was": EXACT, "now": EXACT}, "scenarios": {}, **more,
    }  # fmt: skip


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)


def test_a_page_has_no_script_fetches_nothing_and_escapes_all_that_it_shows() -> None:
    page = diff_page(figures())
    seen = Tags()
    seen.feed(page)
    assert not seen.tags & {"script", "img", "iframe", "link", "object", "form"}
    names = {name for name, _ in seen.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "href"}
    assert "&lt;script&gt;" in page
    assert "<svg" in page


def test_a_page_says_the_counts_and_that_the_limit_is_passed() -> None:
    page = diff_page(figures())
    assert "More than 5% of the messages differ" in page
    assert "7 (70.0%)" in page
    assert "had no value" in page
    assert "No message differs" in diff_page(figures(changes=[]))


def test_markdown_shows_foreign_text_as_code_and_no_values_of_messages() -> None:
    text = diff_markdown(figures())
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)
    assert "@team" not in outside
    assert "<script>" not in outside
    assert "evil.example" not in re.sub(r"<summary>.*</summary>", "", outside)
    assert "**7** of 10 messages differ (70.0%)" in text
    assert "**This is more than 5%.**" in text


@pytest.mark.parametrize("text", ["plain", "a `b` c", "`", "``x", "a\nb"])
def test_code_is_fenced_by_more_ticks_than_it_holds(text: str) -> None:
    found = code(text)
    fence = re.match("`+", found)
    assert fence is not None
    inner = found[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in inner
    assert "\n" not in found


def test_charts_of_nothing_and_of_ten_years_are_drawn() -> None:
    assert charts.rows("x", []).bars == ()
    assert charts.days("x", []).bars == ()
    many = charts.days("x", [{"day": f"d{number}", "was": number, "now": 1} for number in range(3_650)])
    assert len(many.bars) <= 2 * charts.COLUMNS_MAX
    assert all(0 <= bar.x <= charts.WIDTH and bar.height <= charts.DAYS_HEIGHT for bar in many.bars)


def test_a_report_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        write_whole(tmp_path / "no" / "page.html", "x")
    write_whole(tmp_path / "page.html", "x")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
