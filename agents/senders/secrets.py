"""Secrets of the providers, from where the settings say they are."""

import os
from pathlib import Path

from models.senders import Secret
from pipeline.errors import UsageError


def read_secret(secret: Secret, what: str) -> str:
    """Return a secret without the white space around it; UsageError where it is not there."""
    if secret.env is not None:
        found = os.environ.get(secret.env, "")
        place = f"the environment variable {secret.env}"
    else:
        place = f"the file {secret.file}"
        try:
            found = Path(secret.file or "").read_text()
        except (OSError, ValueError) as error:
            raise UsageError(f"{what}: {place} cannot be read: {error}") from None
    if not found.strip():
        raise UsageError(f"{what}: {place} is empty: the settings name it under `senders:`")
    return found.strip()
