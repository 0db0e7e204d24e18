"""What the figures were measured on."""

import os
import platform
import subprocess


def describe() -> str:
    """Return commit, machine and Python in a line."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    model = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return (
        f"commit {commit.stdout.strip() or 'unknown'}, {os.cpu_count()} x {model}, Python {platform.python_version()}"
    )
