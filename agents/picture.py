"""A page as a picture, by a headless Chromium where the machine has one.

No script of the page runs, and nothing is fetched but its pictures: what it measures itself by carries a nonce.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipeline.errors import RunError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_S = 60
HEIGHT_MAX, SHORT = 12_000, 200
# The height is known only once the page is laid out at its width: a first pass writes it into the document.
POLICY = '<meta http-equiv="Content-Security-Policy" content="script-src \'nonce-height\'">'
MEASURE = (
    '<script nonce="height">addEventListener("load", () => '
    "document.documentElement.dataset.height = document.documentElement.scrollHeight)</script>"
)


def browser() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def draw(html: str, path: Path, width: int, browser: str) -> None:
    """Write a page as a PNG of a width in pixels and its whole height; RunError where the browser fails."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(POLICY + html + MEASURE)
        said = _run(browser, folder, page, width, SHORT, "--dump-dom")
        found = re.search(r'data-height="(\d+)"', said)
        height = min(int(found[1]), HEIGHT_MAX) if found else 800
        page.write_text(POLICY + html)
        _run(browser, folder, page, width, height, f"--screenshot={path.absolute()}")
    if not path.is_file():
        raise RunError(f"{path}: {browser} wrote no picture")


def _run(browser: str, folder: str, page: Path, width: int, height: int, action: str) -> str:
    words = [
        browser, "--headless", "--disable-gpu", "--hide-scrollbars", "--disable-extensions", "--no-first-run",
        "--disable-background-networking", "--disable-dev-shm-usage", f"--user-data-dir={folder}/profile",
        f"--window-size={width},{height}", action, page.as_uri(),
    ]  # fmt: skip
    if os.geteuid() == 0:
        words.insert(1, "--no-sandbox")  # a browser of root's has none; as anybody else it keeps it
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{browser}: {error}") from None
    if done.returncode:
        raise RunError(f"{browser} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout
