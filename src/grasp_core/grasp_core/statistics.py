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


def bootstrap_groups(
    values: Sequence[float],
    groups: Sequence[int],
    classes: Sequence[int] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    draws: int = 10_000,
) -> Estimate:
    """Mean of values that come in groups, as tries of one table do; groups are drawn whole (percentile bootstrap).

    Of one group the bounds are nan: it tells no spread. Draws in which a class is missing are left out.

    Args:
        values, groups: [n], each value's group.
        classes: [n], each value's class, for the mean of the classes' means; none for the mean of all.
        confidence, seed, draws: of the interval.

    Raises:
        ValueError: no values, or not one group and class for each.
    """
    x, names = np.asarray(values, dtype=np.float64), np.asarray(groups)
    kinds = np.zeros(x.shape, int) if classes is None else np.unique(np.asarray(classes), return_inverse=True)[1]
    if x.size == 0 or x.shape != names.shape or x.shape != kinds.shape:
        raise ValueError(f"{x.size} values in groups of {names.size} and classes of {kinds.size}; expected as many")
    where = np.unique(names, return_inverse=True)[1]
    shape = (int(where.max()) + 1, int(kinds.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (where, kinds), x)
    np.add.at(counts, (where, kinds), 1.0)
    mean = float((sums.sum(axis=0) / counts.sum(axis=0)).mean())
    if shape[0] == 1:
        return Estimate(mean, float("nan"), float("nan"), int(x.size))
    drawn = np.random.default_rng(seed).multinomial(shape[0], np.full(shape[0], 1.0 / shape[0]), size=draws)
    total = drawn @ counts
    whole = (total > 0.0).all(axis=1)
    means = ((drawn @ sums)[whole] / total[whole]).mean(axis=1)
    low, high = np.quantile(means, (0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence))
    return Estimate(mean, float(low), float(high), int(x.size))
