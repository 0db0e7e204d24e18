"""Runs a page of the docs as its reader would: its commands, its files, its edits, and what it says will be printed.

Fences and what they mean: `sh` is run, line by line (`{.sh .fails}`: the last line must fail); `text` directly after it is
what stands in the output, in this order (`…` for anything); `diff` changes lines of the files that it names; a fence
with `title="FILE"` is that file. Any other fence is only read.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?:\{\.)?(\w+)(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')


@dataclass
class Reader:
    """A reader in a folder; `cd` moves them."""

    folder: Path
    home: Path
    output: str = ""
    ran: int = 0

    def follow(self, page: Path) -> None:
        """Do what a page says, from its first fence to its last."""
        for kind, rest, body in FENCE.findall(page.read_text()):
            title = TITLE.search(rest)
            if title:
                self.write(title[1], body)
            elif kind == "sh":
                self.run(body, must_fail="fails" in rest)
            elif kind == "text":
                self.expect(body)
            elif kind == "diff":
                self.edit(body)

    def write(self, name: str, body: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)

    def run(self, body: str, *, must_fail: bool) -> None:
        """Run commands; each must end well, the last one badly where the page says so."""
        self.output = ""
        lines = body.strip().splitlines()
        for number, line in enumerate(lines):
            if line.startswith("cd "):
                self.folder = self.folder / line[3:]
                continue
            done = subprocess.run(
                ["sh", "-c", line], cwd=self.folder, env=self.environment(), capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
            self.output += done.stdout + done.stderr
            fails = must_fail and number == len(lines) - 1
            assert (done.returncode != 0) is fails, f"{line}\n{done.stdout}\n{done.stderr}"
            self.ran += 1

    def environment(self) -> dict[str, str]:
        """Return an environment in which `parcours` is this tree's."""
        shim = self.home / "bin" / "parcours"
        if not shim.exists():
            shim.parent.mkdir(parents=True, exist_ok=True)
            shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agents.cli.main "$@"\n')
            shim.chmod(0o755)
        return {
            **os.environ,
            "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def expect(self, body: str) -> None:
        """Find the lines of a page in what was printed, in their order."""
        # A reader sees no difference between spaces that break and those that do not.
        printed = re.sub(r"[^\S\n]", " ", self.output).splitlines()
        for line in body.strip("\n").splitlines():
            wanted = re.compile(".*".join(re.escape(part) for part in line.strip().split("…")))
            while printed and not wanted.fullmatch(printed[0].strip()):
                printed.pop(0)
            assert printed, f"the page says {line!r}; printed was:\n{self.output}"
            printed.pop(0)

    def edit(self, body: str) -> None:
        """Put lines in the place of others; what a page would change must be there, once."""
        path, old, new = self.folder, "", ""
        for line in [*body.splitlines(), "--- "]:
            if line.startswith("--- ") or (line.startswith("-") and new):
                if old:
                    text = path.read_text()
                    assert text.count(old) == 1, f"{path.name} has not, or not once:\n{old}"
                    path.write_text(text.replace(old, new))
                old, new = "", ""
            if line.startswith("--- "):
                path = self.folder / line[4:].strip()
            elif line.startswith("-"):
                old += line[1:] + "\n"
            elif line.startswith("+"):
                new += line[1:] + "\n"
