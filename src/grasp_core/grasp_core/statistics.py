# SPDX-License-Identifier: Apache-2.0
"""Intervals for reports: a success rate is always told as k/n with its Wilson interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm


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
    z = float(norm.ppf(0.5 + 0.5 * confidence))
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half), trials)


def bootstrap(values: Sequence[float], confidence: float = 0.95, seed: int = 0, draws: int = 10_000) -> Estimate:
    """Mean of per-run values with a percentile bootstrap interval.

    Raises:
        ValueError: no values.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        raise ValueError("no values to average")
    rng = np.random.default_rng(seed)
    means = x[rng.integers(0, x.size, size=(draws, x.size))].mean(axis=1)
    low, high = np.quantile(means, [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence])
    return Estimate(float(x.mean()), float(low), float(high), int(x.size))
