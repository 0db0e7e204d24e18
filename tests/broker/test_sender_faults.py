"""A small run of `tests.fault.senders`; the whole is run by hand, its figures stand in docs/operate/proof.md."""

import random
from pathlib import Path

import pytest

from tests.fault.senders import Run, try_out

pytestmark = pytest.mark.broker


async def test_killed_and_frozen_before_a_failing_provider_every_command_ends_once_and_is_delivered_once(
    kafka: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    run = Run("keyed", seed, commands=2_000, a_second=200, kills=1, freezes=1, every_s=1.5)
    wrong, figures = await try_out(run, kafka, tmp_path)
    assert not wrong, f"seed {seed}: {wrong[:10]}"
    assert figures["taken, and the sender was not told"], "no fault hit a call"
    assert figures["repeated under a key"], "nothing was repeated"
