"""Chance: hashes of (scenario, salt, customer), the same at re-entry, in replay and on every worker."""

from models.ids import chance
from pipeline.engine.plan import Plan, Scenario, Split

# Shares are in 1/10000: a hundredth of a percent.
SHARES = 10_000


def is_held_out(plan: Plan, customer: str, purpose: str) -> bool:
    """Say whether a customer is in the share that gets no marketing; no other purpose is ever held out."""
    settings = plan.settings
    if purpose != "marketing" or not settings.holdout_share:
        return False
    return chance(SHARES, "holdout", settings.holdout_salt, customer) < settings.holdout_share


def sits_out(plan: Plan, customer: str, scenario: Scenario) -> bool:
    """Say whether a customer is held out of a scenario: with all of marketing, or in the scenario's own share."""
    if is_held_out(plan, customer, scenario.purpose):
        return True
    salt = plan.settings.holdout_salt
    drawn = chance(SHARES, "holdout", scenario.name, salt, customer) if scenario.holdout_share else SHARES
    return drawn < scenario.holdout_share


def path_of(plan: Plan, customer: str, scenario: str, split: Split) -> tuple[str, int]:
    """Return the path of a split that a customer takes, with the index of its first step.

    A test's choice comes first. RuntimeError where the shares do not sum to the whole, which no compiled plan has.
    """
    drawn = chance(SHARES, "split", scenario, split.name, customer)
    chosen = plan.choose.get(split.name)
    upto = 0
    for path, share, goto in split.arms:
        upto += share
        if path == chosen or (chosen is None and drawn < upto):
            return path, goto
    raise RuntimeError(f"split {split.name}: no path for the draw {drawn}, choice {chosen!r}")
