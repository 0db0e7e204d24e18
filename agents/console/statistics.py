"""Those treated against those held out: shares and means with their difference and its interval of 95%.

Shares by Newcombe's hybrid score interval (Newcombe 1998, method 10), which holds for small counts and for shares
near 0; means of revenue by the difference of two means with their own variances (Welch), normal for counts over 30.
"""

from dataclasses import dataclass
from math import sqrt

Z = 1.959964
MEANS_MIN = 30


@dataclass(frozen=True)
class Arm:
    """One arm: who entered, who reached the goal, the goals' value in minor units, its squares in whole units."""

    entered: int = 0
    goals: int = 0
    value: int = 0
    squares: int = 0

    @property
    def share(self) -> float:
        """Return the share of those who entered that reached the goal."""
        return self.goals / self.entered if self.entered else 0.0

    @property
    def mean(self) -> float:
        """Return the value for each who entered, in whole units of money."""
        return self.value / 100 / self.entered if self.entered else 0.0

    @property
    def variance_of_mean(self) -> float:
        """Return the variance of that mean."""
        if self.entered < 2:
            return 0.0
        return max(self.squares / self.entered - self.mean**2, 0.0) / (self.entered - 1)


@dataclass(frozen=True)
class Difference:
    """An estimate with its interval."""

    estimate: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Say whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Both arms, and their differences where both have somebody (for means: enough)."""

    treated: Arm
    held_out: Arm
    share: Difference | None = None
    mean: Difference | None = None


def wilson(goals: int, entered: int) -> tuple[float, float]:
    """Return Wilson's score interval of a share."""
    share, square = goals / entered, Z * Z
    middle = (share + square / (2 * entered)) / (1 + square / entered)
    half = Z * sqrt(share * (1 - share) / entered + square / (4 * entered * entered)) / (1 + square / entered)
    return middle - half, middle + half


def compare(treated: Arm, held_out: Arm) -> Comparison:
    """Compare two arms."""
    if not treated.entered or not held_out.entered:
        return Comparison(treated, held_out)
    low_1, high_1 = wilson(treated.goals, treated.entered)
    low_2, high_2 = wilson(held_out.goals, held_out.entered)
    one, other = treated.share, held_out.share
    share = Difference(
        one - other,
        one - other - sqrt((one - low_1) ** 2 + (high_2 - other) ** 2),
        one - other + sqrt((high_1 - one) ** 2 + (other - low_2) ** 2),
    )
    mean = None
    if min(treated.entered, held_out.entered) >= MEANS_MIN:
        estimate = treated.mean - held_out.mean
        half = Z * sqrt(treated.variance_of_mean + held_out.variance_of_mean)
        mean = Difference(estimate, estimate - half, estimate + half)
    return Comparison(treated, held_out, share, mean)
