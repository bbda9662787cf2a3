# SPDX-License-Identifier: Apache-2.0
"""Search for inverse kinematics: the compiled solver from a seed, then from random seeds, until a solution is good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import chain as kernels
from .tree import Chain

Array = NDArray[np.float64]

TOLERANCE_M = 1e-6
TOLERANCE_RAD = 1e-6
ITERATIONS = 60
# one radian of rotation error weighs as much as this many metres of translation error
LENGTH_SCALE_M = 0.3
# steps along the null-space towards ready
RELAX_ROUNDS = 12
# after so many refused solutions the seeds come from all over the range
SPREAD_AFTER = 10.0


@dataclass(frozen=True)
class IkResult:
    """Outcome of `RobotModel.ik`.

    Attributes:
        success: whether q reaches the target within tolerance and limits (and passes `valid`).
        q: full joint vector [n]; the last try where there is no success.
        position_error_m, rotation_error_rad: what remains at q.
        tries: seeds used.
        iterations: Levenberg-Marquardt steps in all.
        message: in words why there is no solution; empty on success.
    """

    success: bool
    q: Array
    position_error_m: float
    rotation_error_rad: float
    tries: int
    iterations: int
    message: str = ""


@dataclass(frozen=True)
class IkProblem:
    """What to solve.

    Attributes:
        chain: root to the frame that is moved.
        columns: places in the chain of the joints that may move, int [k].
        lower, upper, ready: limits and preferred positions of those joints, float64 [k].
        target: pose of the frame, float64 [4, 4].
        start: full joint vector [n], the first seed.
        position_only: leave the orientation free.
        towards_ready: use what freedom is left to come close to `ready`.
    """

    chain: Chain
    columns: NDArray[np.int64]
    lower: Array
    upper: Array
    ready: Array
    target: Array
    start: Array
    position_only: bool
    towards_ready: bool


def search(
    problem: IkProblem, restarts: int, rng: np.random.Generator, valid: Callable[[Array], bool] | None
) -> IkResult:
    """Solve from `start` and up to `restarts` random seeds until `valid` holds."""
    chain, columns, lower, upper = problem.chain, problem.columns, problem.lower, problem.upper
    joints = chain.joints[columns]
    rows = 3 if problem.position_only else 6
    relax = RELAX_ROUNDS if problem.towards_ready and len(columns) > rows else 0
    q_chain = chain.values(problem.start)
    q_out = np.empty_like(q_chain)
    seeds = np.clip(problem.start[joints], lower, upper)[None, :]
    tries = iterations = refused = 0
    while True:
        # relaxed solutions of many seeds coincide: where one is refused, an unrelaxed one may pass
        rounds = relax if refused % 2 == 0 else 0
        ok, used, steps = kernels.solve_ik(
            q_chain, seeds, problem.target, chain.origins, chain.axes, chain.prismatic, columns, lower, upper, rows,
            LENGTH_SCALE_M, TOLERANCE_M, TOLERANCE_RAD, ITERATIONS, problem.ready, rounds, q_out,
        )  # fmt: skip
        tries += used
        iterations += steps
        q = problem.start.copy()
        q[joints] = q_out[columns]
        if ok:
            q[joints] = _nearest_turn(q[joints], problem.start[joints], lower, upper, chain.prismatic[columns])
            if valid is None or valid(q):
                return _result(problem, True, q, tries, iterations, "")
            refused += 1
        left = restarts + 1 - tries
        if left <= 0:
            break
        if refused:
            seeds = _spread_seeds(rng, left, refused, problem.start[joints], lower, upper)
        else:
            low, high = np.maximum(lower, problem.ready - np.pi), np.minimum(upper, problem.ready + np.pi)
            seeds = rng.uniform(low, high, (left, len(joints)))
    reason = f"{refused} solutions were refused by the further test" if refused else "no solution within joint limits"
    return _result(problem, False, q, tries, iterations, f"{reason} after {tries} seeds")


def _result(problem: IkProblem, ok: bool, q: Array, tries: int, iterations: int, message: str) -> IkResult:
    T, _, _ = problem.chain.frames(q)
    error = np.empty(6)
    kernels.pose_error(T, problem.target, error)
    far, turned = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
    return IkResult(ok, q, far, turned, tries, iterations, message)


def _spread_seeds(
    rng: np.random.Generator, count: int, refused: int, middle: Array, lower: Array, upper: Array
) -> Array:
    """Random seeds [count, k], the first ones close to `middle`, later ones all over the range (a turn at most)."""
    share = np.minimum(1.0, (refused + np.arange(count)) / SPREAD_AFTER)[:, None]
    low = (1.0 - share) * middle + share * np.maximum(lower, middle - np.pi)
    high = (1.0 - share) * middle + share * np.minimum(upper, middle + np.pi)
    return np.clip(rng.uniform(np.minimum(low, high), np.maximum(low, high)), lower, upper)


def _nearest_turn(q: Array, seed: Array, lower: Array, upper: Array, prismatic: NDArray[np.bool_]) -> Array:
    """Each revolute joint in the turn closest to the seed that its limits allow."""
    turned = q - 2 * np.pi * np.round((q - seed) / (2 * np.pi))
    fits = (turned >= lower) & (turned <= upper) & ~prismatic
    return np.where(fits, turned, q)
