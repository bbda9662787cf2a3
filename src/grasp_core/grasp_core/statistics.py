# SPDX-License-Identifier: Apache-2.0
"""Intervals for reports: a success rate is always told as k/n with its Wilson interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.stats import binomtest


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval and the number of trials behind it."""

    mean: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float]:
        """For JSON: ``mean, low, high, n``."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """Success rate with its Wilson score interval (E. B. Wilson, JASA 22, 1927).

    Raises:
        ValueError: fewer than 0 or more successes than trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    if trials == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    rate = successes / trials
    # Rounding may put a bound past the rate itself at 0 or 1.
    return Estimate(rate, min(rate, float(interval.low)), max(rate, float(interval.high)), trials)


def bootstrap(values: Sequence[float], confidence: float = 0.95, seed: int = 0, draws: int = 10_000) -> Estimate:
    """Mean of per-run values with a percentile bootstrap interval; of one run the bounds are nan: it tells no spread.

    Raises:
        ValueError: no values.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        raise ValueError("no values to average")
    if x.size == 1:
        return Estimate(float(x[0]), float("nan"), float("nan"), 1)
    if np.ptp(x) == 0.0:
        return Estimate(float(x[0]), float(x[0]), float(x[0]), int(x.size))
    interval = stats.bootstrap(
        (x,), np.mean, n_resamples=draws, confidence_level=confidence, method="percentile", rng=seed
    ).confidence_interval
    return Estimate(float(x.mean()), float(interval.low), float(interval.high), int(x.size))
