"""The docs build as a site, strictly: no link, anchor or page leads nowhere, and nothing is fetched from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.page import ROOT


def test_the_site_is_built_and_has_every_page(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not (tmp_path / "site" / page).is_file()} == set()
    raw = [page for page in pages if "```" in (tmp_path / "site" / page).read_text()]
    assert raw == [], "a fence that is not read as one"
    index = (tmp_path / "site" / "index.html").read_text()
    assert {str(page) for page in pages if f'href="{page}"' not in index} <= {"index.html"}
    fetched = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', index)
    assert fetched == []
