# SPDX-License-Identifier: Apache-2.0
"""Geometric joint paths that are smooth enough to be timed within jerk limits: q(s), twice continuously differentiable.

A path knows no time. Its parameter s is a length in the metric in which a joint's velocity limit counts as one, so that
metres and radians mix sensibly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import factorial

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import BPoly, PPoly, make_interp_spline
from toppra.interpolator import AbstractGeometricPath

from grasp_core.geometry import Array

# Waypoints nearer to one another than this (in s) are one.
SAME_POINT = 1e-7
# A corner sharper than this cosine is nearly a way back along itself: no blend helps, the motion stops there.
SHARP = -0.9
# A corner that would have to be cut tighter than this (in s) is not blended: the motion stops there.
MIN_BLEND = 1e-3
DEGREE = 5


class JointPath(AbstractGeometricPath):
    """A piecewise polynomial q(s) with values [n]; also what TOPPRA takes as a path.

    ``spans`` are the s between which its derivatives change slowly: where to look closer, and where not.
    """

    def __init__(self, polynomial: PPoly, spans: Array | None = None) -> None:
        self._orders = [polynomial]
        self.spans: Array = np.asarray(polynomial.x if spans is None else spans, dtype=np.float64)
        for _ in range(3):
            self._orders.append(self._orders[-1].derivative())

    def __call__(self, s: ArrayLike, order: int = 0) -> Array:
        """Value (order 0) or derivative (1, 2 or 3) at ``s`` [...], as [..., n]."""
        return np.asarray(self._orders[order](s), dtype=np.float64)

    @property
    def dof(self) -> int:
        """Number of joints."""
        return int(self._orders[0].c.shape[2])

    @property
    def path_interval(self) -> tuple[float, float]:
        """First and last s."""
        return float(self._orders[0].x[0]), float(self._orders[0].x[-1])

    @property
    def length(self) -> float:
        """Range of s."""
        start, end = self.path_interval
        return end - start

    @property
    def is_straight(self) -> bool:
        """Whether it is one straight segment, run along evenly."""
        c = self._orders[0].c
        if c.shape[1] > 1:
            return False
        powers = self.length ** np.arange(c.shape[0] - 1, 1, -1)
        return float(np.abs(c[:-2, 0] * powers[:, None]).max()) < 1e-9

    @property
    def waypoints(self) -> tuple[Array, Array]:
        """s and q where spans meet (part of TOPPRA's interface)."""
        return self.spans, self(self.spans)


def distinct(waypoints: Array, scale: Array) -> Array:
    """The waypoints [m, n] without those that repeat the one before; first and last stay as they are."""
    keep = [0]
    for i in range(1, len(waypoints)):
        if np.linalg.norm((waypoints[i] - waypoints[keep[-1]]) / scale) > SAME_POINT:
            keep.append(i)
    return waypoints[keep]


def thinned(waypoints: Array, scale: Array, tolerance: float) -> Array:
    """Waypoints [m, n] without those that lie within ``tolerance`` (in s) of the segment that replaces them."""
    keep = [0]
    end = 1
    while end < len(waypoints) - 1:
        a, b = waypoints[keep[-1]] / scale, waypoints[end + 1] / scale
        inner = waypoints[keep[-1] + 1 : end + 1] / scale
        share = np.clip((inner - a) @ (b - a) / max(float((b - a) @ (b - a)), SAME_POINT**2), 0.0, 1.0)
        if np.linalg.norm(inner - a - share[:, None] * (b - a), axis=1).max() > tolerance:
            keep.append(end)
        end += 1
    return waypoints[[*keep, len(waypoints) - 1]]


def spline_path(points: Array, scale: Array) -> JointPath:
    """A quintic spline through densely spaced points [m >= 6, n] of a curve that is smooth itself.

    Args:
        points: neighbours are about equally far apart along the curve.
        scale: velocity limits [n].

    Raises:
        ValueError: fewer than 6 points.
    """
    if len(points) <= DEGREE:
        raise ValueError(f"a spline path needs at least {DEGREE + 1} points, not {len(points)}")
    length = float(np.linalg.norm(np.diff(points, axis=0) / scale, axis=1).sum())
    spline = make_interp_spline(np.linspace(0.0, length, len(points)), points, k=DEGREE)
    knots = spline.t[DEGREE:-DEGREE]
    coefficients = [spline(knots[:-1], nu=k) / factorial(k) for k in range(DEGREE, -1, -1)]
    return JointPath(PPoly(np.stack(coefficients), knots), np.linspace(0.0, length, 5))


def rounded_paths(
    waypoints: Array,
    scale: Array,
    is_free: Callable[[Array], bool],
    max_blend: float = np.inf,
    step: float = 0.02,
) -> list[JointPath]:
    """Straight segments between waypoints with rounded corners.

    A corner is replaced by a quintic Bezier curve that leaves one segment and joins the next with continuous first and
    second derivatives. It starts as wide as the segments allow and is narrowed until ``is_free`` accepts its samples; a
    corner that allows no blend ends a path, and the next one starts there from rest.

    Args:
        waypoints: [m >= 2, n], neighbours distinct (see ``distinct``); straight segments between them are free.
        scale: velocity limits [n], the metric of s.
        is_free: tells whether all of [k, n] joint positions are allowed.
        max_blend: longest part of a segment (in s) that one blend may replace.
        step: distance (rad or m, 2-norm) between the samples of a corner.

    Returns:
        One path, or several that follow one another with a stop in between.
    """
    steps = np.diff(waypoints, axis=0)
    lengths = np.linalg.norm(steps / scale, axis=1)
    units = steps / lengths[:, None]
    reach = np.zeros(len(waypoints))
    for i in range(1, len(waypoints) - 1):
        if float(units[i - 1] @ (units[i] / scale**2)) < SHARP:
            continue
        wide = min(0.5 * lengths[i - 1], 0.5 * lengths[i], max_blend)
        reach[i] = _free_reach(waypoints[i], units[i - 1], units[i], wide, is_free, step)
    stops = [0, *[i for i in range(1, len(waypoints) - 1) if reach[i] == 0.0], len(waypoints) - 1]
    return [_one_path(waypoints[a : b + 1], units[a:b], lengths[a:b], reach[a : b + 1]) for a, b in pairwise(stops)]


def _corner(corner: Array, before: Array, after: Array, reach: float) -> Array:
    """Bezier points [6, n]; each half equally spaced, so that the second derivative vanishes at both ends."""
    d = 0.5 * reach
    return np.stack([corner + k * d * before for k in (-2, -1, 0)] + [corner + k * d * after for k in (0, 1, 2)])


def _free_reach(
    corner: Array, before: Array, after: Array, wide: float, is_free: Callable[[Array], bool], step: float
) -> float:
    reach = wide
    while reach >= MIN_BLEND:
        control = _corner(corner, before, after, reach)
        length = float(np.linalg.norm(np.diff(control, axis=0), axis=1).sum())
        if is_free(BPoly(control[:, None, :], [0.0, 1.0])(np.linspace(0.0, 1.0, max(9, int(length / step) + 2)))):
            return reach
        reach *= 0.5
    return 0.0


def _one_path(waypoints: Array, units: Array, lengths: Array, reach: Array) -> JointPath:
    pieces: list[Array] = []
    knots = [0.0]
    for i, (unit, length) in enumerate(zip(units, lengths, strict=True)):
        straight = length - reach[i] - reach[i + 1]
        if straight > SAME_POINT:
            start = waypoints[i] + reach[i] * unit
            pieces.append(start + np.linspace(0.0, straight, DEGREE + 1)[:, None] * unit)
            knots.append(knots[-1] + straight)
        if reach[i + 1] > 0.0:
            pieces.append(_corner(waypoints[i + 1], unit, units[i + 1], reach[i + 1]))
            # Five control steps of reach / 2 each: this span makes |q'| continuous where it meets the segments.
            knots.append(knots[-1] + 2.5 * reach[i + 1])
    return JointPath(PPoly.from_bernstein_basis(BPoly(np.stack(pieces, axis=1), knots)))


def sample(paths: Sequence[JointPath], step: float) -> Array:
    """Positions [k, n] along paths that follow one another, about ``step`` (rad or m, 2-norm) apart, ends included."""
    rows = []
    for path in paths:
        coarse = path(np.linspace(*path.path_interval, 65))
        length = float(np.linalg.norm(np.diff(coarse, axis=0), axis=1).sum())
        rows.append(path(np.linspace(*path.path_interval, max(2, int(np.ceil(length / step)) + 1))))
    return np.concatenate(rows)


def spaced(positions: Array, at_least: float, at_most: float) -> Array:
    """Positions [k, n] without those nearer than ``at_least`` to the last one kept, gaps over ``at_most`` filled."""
    rows = [positions[:1]]
    last = positions[0]
    for q in positions[1:]:
        gap = float(np.linalg.norm(q - last))
        if gap < at_least:
            continue
        count = int(np.ceil(gap / at_most))
        rows.append(last + np.linspace(0.0, 1.0, count + 1)[1:, None] * (q - last))
        last = q
    return np.concatenate([*rows, positions[-1:]])
