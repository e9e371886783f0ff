"""Shares of few hundred trials: an interval for one, a test for two on the same pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import binomtest

from visavis_accuracy.bootstrap import Interval

#: The normal distribution's 97.5th percentile.
Z = 1.959964


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95 % score interval, which stays within [0, 1] and has a width at 0 and at all too."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is no share")
    share, weight = successes / trials, Z * Z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def p_value_of_shortfall(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """McNemar's exact test, one-sided: how likely so many more of the disagreements are theirs, were both as good.

    The sequences answer for the same pictures in the same order.
    """
    pairs = list(zip(ours, theirs, strict=True))
    ours_only = sum(mine and not other for mine, other in pairs)
    theirs_only = sum(other and not mine for mine, other in pairs)
    if not ours_only + theirs_only:
        return 1.0
    return float(binomtest(ours_only, ours_only + theirs_only, 0.5, alternative="less").pvalue)
